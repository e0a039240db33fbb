"""What would fit in place of a set that does not. Pure."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from servers.fit.in_turn import TEXTS, Together, in_turn
from servers.fit.values import LaunchPlan, Offer, Request
from servers.model import PRECISIONS, Precision

Kind = Literal["coarser", "shorter", "sleep", "serial", "subset", "other"]


def offers(request: Request, together: Together) -> tuple[Offer, ...]:
    """Everything near to `request` that fits, the nearest first."""
    found = [
        *_relaxed(request, together),
        *_taking_turns(request, together),
        *_coarser_turns(request, together),
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


def _taking_turns(request: Request, together: Together) -> Iterator[Offer]:
    for kind, text in TEXTS.items():
        plan = in_turn(request, kind, together)
        if plan:
            yield Offer(kind=kind, text=text, plan=plan)


def _coarser_turns(request: Request, together: Together) -> Iterator[Offer]:
    """The same models one after another, where neither that nor a coarser precision is enough."""
    free = msgspec.structs.replace(request, precision=None, context_tokens=None)
    strict = in_turn(request, "serial", together)
    if not request.precision or strict or isinstance(together(free), LaunchPlan):
        return
    plan = in_turn(free, "serial", together)
    if plan:
        text = "one after another, without --quantization"
        yield Offer(kind="coarser", text=text, plan=plan)


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
        yield Offer(kind=kind, text=text, plan=plan)
