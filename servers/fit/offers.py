"""What would fit in place of a set that does not. Pure."""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from servers.fit.memory import CONTEXT_BYTES
from servers.fit.values import LaunchPlan, Offer, Refusal, Request
from servers.hardware import GIB, HardwareProfile
from servers.model import PRECISIONS, Precision

Together = Callable[[Request], LaunchPlan | Refusal]

Kind = Literal["coarser", "shorter", "sleep", "serial", "subset", "other"]

_HOST_RESERVE_BYTES = 2 * GIB
"""RAM that sleeping weights must leave to the rest; an assumption."""


def offers(request: Request, together: Together) -> tuple[Offer, ...]:
    """Everything near to `request` that fits, the nearest first."""
    found = [
        *_relaxed(request, together),
        *_asleep(request, together),
        *_one_by_one(request, together),
        *_smaller_set(request, together),
    ]
    return tuple(found) or tuple(_other(request, together))


def _relaxed(request: Request, together: Together) -> Iterator[Offer]:
    """The same models at once, with one wish less."""
    if request.has_fp8_kv:
        asked = msgspec.structs.replace(request, has_fp8_kv=False)
        yield from _offer("shorter", "with a 16-bit KV cache", asked, together)
    if request.context_tokens:
        asked = msgspec.structs.replace(request, context_tokens=None)
        yield from _offer("shorter", "with a shorter context", asked, together)
    if request.precision:
        yield from _other_precision(request, together)


def _other_precision(request: Request, together: Together) -> Iterator[Offer]:
    for precision in (*_coarser_than(request.precision), None):
        asked = msgspec.structs.replace(request, precision=precision, context_tokens=None)
        text = f"with --quantization {precision}" if precision else "without --quantization"
        found = list(_offer("coarser", text, asked, together))
        if found:
            yield from found
            return


def _coarser_than(precision: Precision | None) -> tuple[Precision, ...]:
    return PRECISIONS[PRECISIONS.index(precision) + 1 :] if precision else ()


def _asleep(request: Request, together: Together) -> Iterator[Offer]:
    """All started, one awake: the weights of the others wait in RAM (vLLM's sleep level 1)."""
    n_others = len(request.presets) - 1
    if n_others < 1 or len(request.hardware.gpus) != 1:
        return
    hardware = _with_less_memory(request.hardware, n_others * CONTEXT_BYTES)
    plans = _each_alone(msgspec.structs.replace(request, hardware=hardware), together)
    if plans is None or not _holds_asleep(plans, request.hardware):
        return
    text = "all started, one awake at a time (the others sleep in RAM)"
    yield Offer(kind="sleep", text=text, plans=(_awake_in_turn(plans, request.hardware),))


def _one_by_one(request: Request, together: Together) -> Iterator[Offer]:
    plans = _each_alone(request, together) if len(request.presets) > 1 else None
    if plans:
        serial = tuple(msgspec.structs.replace(plan, mode="serial") for plan in plans)
        yield Offer(kind="serial", text="one after another", plans=serial)


def _smaller_set(request: Request, together: Together) -> Iterator[Offer]:
    """A subset that fits: without the largest models, or else the largest alone that fits."""
    by_size = sorted(request.presets, key=lambda one: one.n_parameters)
    without_largest = [by_size[:size] for size in range(len(by_size) - 1, 1, -1)]
    alone = [[one] for one in reversed(by_size)] if len(by_size) > 1 else []
    for presets in (*without_largest, *alone):
        asked = msgspec.structs.replace(request, presets=tuple(presets))
        text = f"only {' and '.join(one.key for one in presets)}"
        found = list(_offer("subset", text, asked, together))
        if found:
            yield from found
            return


def _other(request: Request, together: Together) -> Iterator[Offer]:
    """The largest model known that does fit."""
    free = msgspec.structs.replace(
        request, precision=None, context_tokens=None, has_fp8_kv=False, runtime=None
    )
    for preset in sorted(request.catalogue, key=lambda one: -one.n_parameters):
        asked = msgspec.structs.replace(free, presets=(preset,))
        found = list(_offer("other", f"another model: {preset.key}", asked, together))
        if found:
            yield from found
            return


def _offer(kind: Kind, text: str, request: Request, together: Together) -> Iterator[Offer]:
    plan = together(request)
    if isinstance(plan, LaunchPlan):
        yield Offer(kind=kind, text=text, plans=(plan,))


def _each_alone(request: Request, together: Together) -> tuple[LaunchPlan, ...] | None:
    plans: list[LaunchPlan] = []
    for preset in request.presets:
        plan = together(msgspec.structs.replace(request, presets=(preset,)))
        if isinstance(plan, Refusal):
            return None
        plans.append(plan)
    return tuple(plans)


def _holds_asleep(plans: tuple[LaunchPlan, ...], hardware: HardwareProfile) -> bool:
    weights = sum(plan.servers[0].weights_bytes for plan in plans)
    free = hardware.host_bytes - hardware.host_others_bytes - _HOST_RESERVE_BYTES
    return weights <= free


def _awake_in_turn(plans: tuple[LaunchPlan, ...], hardware: HardwareProfile) -> LaunchPlan:
    servers = tuple(
        msgspec.structs.replace(plan.servers[0], has_sleep=True, is_kv_pinned=True)
        for plan in sorted(plans, key=lambda plan: -plan.servers[0].weights_bytes)
    )
    cards = tuple(card for plan in plans for card in plan.cards)
    return msgspec.structs.replace(
        plans[0], hardware=hardware, mode="sleep", servers=servers, cards=cards
    )


def _with_less_memory(hardware: HardwareProfile, n_bytes: int) -> HardwareProfile:
    gpu = hardware.gpus[0]
    less = msgspec.structs.replace(gpu, others_bytes=gpu.others_bytes + n_bytes)
    return msgspec.structs.replace(hardware, gpus=(less,))
