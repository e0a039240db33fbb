"""Models that take turns: one awake while the others sleep in RAM, or one after another. Pure."""

from collections.abc import Callable
from itertools import chain
from typing import Literal

import msgspec

from servers.fit.memory import CONTEXT_BYTES
from servers.fit.values import LaunchPlan, Refusal, Request
from servers.hardware import GIB, HardwareProfile

Together = Callable[[Request], LaunchPlan | Refusal]
InTurn = Literal["sleep", "serial"]

TEXTS: dict[InTurn, str] = {
    "sleep": "all started, one awake at a time (the others sleep in RAM)",
    "serial": "one after another",
}
_HOST_RESERVE_BYTES = 2 * GIB
"""RAM that sleeping weights must leave to the rest; an assumption."""


def in_turn(request: Request, kind: InTurn, together: Together) -> LaunchPlan | None:
    """Plan every model as if it were alone; None where that does not hold.

    "sleep": vLLM's sleep level 1 on one GPU, whose weights wait in RAM meanwhile. Each server then
    leaves room for the CUDA contexts of the others, which stay.

    Source: serving-gpu.md section 3, "Sleep mode".
    """
    if len(request.presets) < 2:  # noqa: PLR2004 - one model has nobody to take turns with
        return None
    plans = _alone(request if kind == "serial" else _beside_sleepers(request), together)
    if plans is None or (kind == "sleep" and not _can_sleep(plans, request.hardware)):
        return None
    largest_first = sorted(plans, key=lambda plan: -plan.servers[0].weights_bytes)
    return _joined(largest_first, request, kind)


def _alone(request: Request, together: Together) -> tuple[LaunchPlan, ...] | None:
    plans: list[LaunchPlan] = []
    for preset in request.presets:
        plan = together(msgspec.structs.replace(request, presets=(preset,)))
        if isinstance(plan, Refusal):
            return None
        plans.append(plan)
    return tuple(plans)


def _beside_sleepers(request: Request) -> Request:
    gpus = tuple(
        msgspec.structs.replace(
            gpu, others_bytes=gpu.others_bytes + (len(request.presets) - 1) * CONTEXT_BYTES
        )
        for gpu in request.hardware.gpus
    )
    hardware = msgspec.structs.replace(request.hardware, gpus=gpus)
    return msgspec.structs.replace(request, hardware=hardware)


def _can_sleep(plans: tuple[LaunchPlan, ...], hardware: HardwareProfile) -> bool:
    weights = sum(plan.servers[0].weights_bytes for plan in plans)
    free = hardware.host_bytes - hardware.host_others_bytes - _HOST_RESERVE_BYTES
    return len(hardware.gpus) == 1 and weights <= free


def _joined(plans: list[LaunchPlan], request: Request, kind: InTurn) -> LaunchPlan:
    servers = [plan.servers[0] for plan in plans]
    if kind == "sleep":
        servers = [
            msgspec.structs.replace(one, has_sleep=True, is_kv_pinned=True) for one in servers
        ]
    steps = [
        msgspec.structs.replace(plan.steps[-1], name=f"{TEXTS[kind]}, {plan.servers[0].model}")
        for plan in plans
    ]
    return LaunchPlan(
        hardware=request.hardware,
        mode=kind,
        build=plans[0].build,
        servers=tuple(servers),
        cards=tuple(chain.from_iterable(plan.cards for plan in plans)),
        steps=tuple(steps),
        notes=tuple(dict.fromkeys(chain.from_iterable(plan.notes for plan in plans))),
    )
