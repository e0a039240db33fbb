"""What is given up, and in which order, until a set of models fits. Pure.

    1. as asked         32k or 16k tokens of context, 2.5 full windows per model
    2. fewer sequences  room for one full window per model, 16k
    3. shorter context  8k: an investigation compacts earlier, which costs less than speed does
    4. no CUDA graphs   every token is slower
    5. coarser weights  of the largest model, then of the next: mixes of 8 and 4 bits come from here
    6. shorter still    4k, again from the finest weights to the coarsest

Every step after the first aims at one context length and no longer: what is left over serves more
investigations at once. That keeps the fit monotone: more memory never gives a shorter context.

Source of the figures: serving-gpu.md section 3; 2.5 windows is where its row "colab_free_t4 4-bit,
60k tokens" gives the 16k context of its verdict.
"""

from collections.abc import Iterator, Sequence

import msgspec

from servers.fit.choice import coarser
from servers.fit.memory import Card, Seat, card_sum, kv_needed
from servers.fit.placement import cards_of, split, whole
from servers.fit.values import Choice, Flags, Request, Step, Sum

_LONG, _USUAL, _SHORT, _SHORTEST = 32_768, 16_384, 8192, 4096

COMFORT = Flags(n_seqs=32, n_batched_tokens=1024, n_windows=2.5)
_ONE_WINDOW = Flags(n_seqs=32, n_batched_tokens=1024, n_windows=1)
_FEW = Flags(n_seqs=8, n_batched_tokens=1024, n_windows=1)
_EAGER = Flags(n_seqs=8, n_batched_tokens=1024, n_windows=1, is_eager=True)


class Rung(msgspec.Struct, frozen=True):
    """One thing to try: weights, a context length, and flags from generous to lean."""

    name: str
    choices: tuple[Choice, ...]
    context_tokens: int
    flags: tuple[Flags, ...]
    may_split: bool = True


class Settled(msgspec.Struct, frozen=True):
    """A rung that holds: every server has its place and its share."""

    seats: tuple[Seat, ...]
    flags: Flags
    context_tokens: int
    sums: tuple[Sum, ...]


class Climb(msgspec.Struct, frozen=True):
    """The rungs tried, and the one that held, if any."""

    steps: tuple[Step, ...]
    settled: Settled | None


def climb(choices: tuple[Choice, ...], request: Request) -> Climb:
    """Try one rung after another until one holds."""
    cards = cards_of(request.hardware)
    steps: list[Step] = []
    for rung in _rungs(choices, request):
        best = _try(rung, cards, request)
        steps.append(_step(rung, best))
        if steps[-1].fits:
            return Climb(tuple(steps), best)
    return Climb(tuple(steps), None)


def settle(
    seats: tuple[Seat, ...], flags: Flags, *, context_tokens: int, request: Request
) -> Settled:
    """Add up every card that the seats use."""
    used = dict.fromkeys(card for seat in seats for card in seat.cards)
    return Settled(
        seats,
        flags,
        context_tokens,
        tuple(
            card_sum(card, seats, flags, context_tokens=context_tokens, measured=request.measured)
            for card in used
        ),
    )


def short_bytes(settled: Settled) -> int:
    """How much is missing on the card that misses most; 0 if all fit."""
    return max(one.short_bytes for one in settled.sums)


def tightest(settled: Settled) -> Sum:
    """The card on which the least is left beyond what is needed."""
    return min(settled.sums, key=lambda one: one.kv_bytes - one.kv_needed_bytes)


def _rungs(choices: tuple[Choice, ...], request: Request) -> Iterator[Rung]:
    if not request.hardware.gpus:
        yield from _cpu_rungs(choices, request)
        return
    asked = request.context_tokens
    if not asked:
        yield Rung("as asked", choices, _LONG, (COMFORT,), may_split=False)
    yield Rung("as asked", choices, asked or _USUAL, (COMFORT,))
    yield Rung("fewer sequences", choices, asked or _USUAL, (_ONE_WINDOW, _FEW))
    if not asked:
        yield Rung("shorter context", choices, _SHORT, (_ONE_WINDOW, _FEW))
    yield Rung("no CUDA graphs", choices, asked or _SHORT, (_EAGER,))
    yield from _coarser_rungs(choices, request, context_tokens=asked or _SHORT)
    if not asked:
        yield Rung("shorter still", choices, _SHORTEST, (_ONE_WINDOW, _FEW, _EAGER))
        yield from _coarser_rungs(choices, request, context_tokens=_SHORTEST)


def _cpu_rungs(choices: tuple[Choice, ...], request: Request) -> Iterator[Rung]:
    """Without a GPU there are no graphs to give up, and long contexts take long to read."""
    asked = request.context_tokens
    flags = tuple(_for_cpu(one, asked or _SHORT, choices) for one in (COMFORT, _EAGER))
    yield Rung("as asked", choices, asked or _SHORT, flags[:1])
    yield Rung("fewer sequences", choices, asked or _SHORT, flags[1:])
    yield from _coarser_rungs(choices, request, context_tokens=asked or _SHORT, flags=flags)
    if not asked:
        lean = (_for_cpu(_EAGER, _SHORTEST, choices),)
        yield Rung("shorter context", choices, _SHORTEST, lean)
        yield from _coarser_rungs(choices, request, context_tokens=_SHORTEST, flags=lean)


def _for_cpu(flags: Flags, context_tokens: int, choices: Sequence[Choice]) -> Flags:
    """Prompts are not cut in chunks by vLLM's CPU build, so one step must hold a whole window.

    Source: serving-cpu.md section 1 (a chunked prompt with a seed ends the server).
    """
    has_vllm = any(one.runtime == "vllm" for one in choices)
    n_tokens = max(context_tokens, _SHORTEST) if has_vllm else 512
    return msgspec.structs.replace(flags, n_seqs=8, n_batched_tokens=n_tokens, is_eager=True)


def _coarser_rungs(
    choices: tuple[Choice, ...],
    request: Request,
    *,
    context_tokens: int,
    flags: tuple[Flags, ...] = (COMFORT, _ONE_WINDOW, _FEW, _EAGER),
) -> Iterator[Rung]:
    if request.precision:
        return
    lowered = _lower_largest(choices, request)
    while lowered:
        name, choices = lowered
        yield Rung(name, choices, context_tokens, flags)
        lowered = _lower_largest(choices, request)


def _lower_largest(
    choices: tuple[Choice, ...], request: Request
) -> tuple[str, tuple[Choice, ...]] | None:
    for one in sorted(choices, key=lambda choice: choice.weights_bytes, reverse=True):
        lower = coarser(one, request)
        if lower:
            name = f"{one.preset.key} at {lower.variant.precision}"
            return name, tuple(lower if other is one else other for other in choices)
    return None


def _try(rung: Rung, cards: tuple[Card, ...], request: Request) -> Settled:
    """The first flags and placement that hold, or else the attempt that came nearest."""
    nearest: Settled | None = None
    if _is_hopeless(rung, cards):
        flags = rung.flags[-1]
        seats = next(_placements(rung, flags, cards))
        return settle(seats, flags, context_tokens=rung.context_tokens, request=request)
    for flags in rung.flags:
        for seats in _placements(rung, flags, cards):
            found = settle(seats, flags, context_tokens=rung.context_tokens, request=request)
            if short_bytes(found) == 0:
                return found
            if nearest is None or short_bytes(found) < short_bytes(nearest):
                nearest = found
    assert nearest, "there is always a placement"
    return nearest


def _is_hopeless(rung: Rung, cards: tuple[Card, ...]) -> bool:
    """The weights alone are more than all cards hold: no need to try every placement."""
    room = sum(card.room_bytes for card in cards)
    return sum(choice.weights_bytes for choice in rung.choices) > room


def _placements(rung: Rung, flags: Flags, cards: tuple[Card, ...]) -> Iterator[tuple[Seat, ...]]:
    def need(choice: Choice) -> int:
        alone = Seat(choice, cards[:1])
        return choice.weights_bytes + kv_needed(alone, flags, rung.context_tokens)

    neediest_first = sorted(rung.choices, key=need, reverse=True)
    yield from whole(neediest_first, cards)
    if rung.may_split:
        yield from split(neediest_first, cards)


def _step(rung: Rung, best: Settled) -> Step:
    return Step(
        name=rung.name,
        precisions=tuple((one.preset.key, one.variant.precision) for one in rung.choices),
        context_tokens=rung.context_tokens,
        flags=best.flags,
        tightest=tightest(best),
        fits=short_bytes(best) == 0,
    )
