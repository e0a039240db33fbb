"""From a settled fit to the servers of a launch plan. Pure."""

from servers.fit.ladder import COMFORT, Settled, settle, short_bytes
from servers.fit.memory import (
    SHORT_CAPTURE_SIZES,
    Card,
    Seat,
    kv_needed,
    kv_per_token,
    window_tokens,
    working_bytes,
)
from servers.fit.values import Flags, Request, ServerPlan
from servers.hardware import GIB

_WIDER = (
    Flags(n_seqs=256, n_batched_tokens=8192, n_windows=2.5),
    Flags(n_seqs=128, n_batched_tokens=4096, n_windows=2.5),
    Flags(n_seqs=64, n_batched_tokens=2048, n_windows=2.5),
)
"""For cards on which 32 sequences would leave KV cache unused; vLLM's own default is 256 and
2048."""
_TINY_BYTES = 64 << 20
"""Threads of llama.cpp wait for each other after every layer: below this they only wait. Measured
with the models that ship (1 and 3 MB), which are slower with two threads than with one."""
_MOST_LOSS = 0.05
_MOST_WINDOWS_IN_RAM = 8
_INVESTIGATION_WINDOWS = 0.5
"""A conversation grows from nothing to its window: half of it on average."""


def widen(settled: Settled, request: Request) -> Settled:
    """Let more sequences run at once where that costs at most 5 % of the KV cache."""
    if settled.flags != COMFORT:
        return settled
    n_fitting = max(_n_fitting(seat, settled) for seat in settled.seats)
    for flags in _WIDER:
        wide = settle(settled.seats, flags, context_tokens=settled.context_tokens, request=request)
        is_used = n_fitting * 2 >= flags.n_seqs
        if is_used and short_bytes(wide) == 0 and _loss(settled, wide) <= _MOST_LOSS:
            return wide
    return settled


def servers_of(settled: Settled, request: Request) -> tuple[ServerPlan, ...]:
    """Turn every seat into a server, the largest first."""
    plans = [_server(seat, settled, request) for seat in settled.seats]
    return tuple(sorted(plans, key=lambda one: (-one.weights_bytes, one.model)))


def _server(seat: Seat, settled: Settled, request: Request) -> ServerPlan:
    choice, flags, variant = seat.choice, settled.flags, seat.choice.variant
    kv_bytes = _kv_share(seat, settled)
    working = _working(seat, settled, request)
    is_pinned = _has_neighbours(seat, settled)
    n_seqs = _n_seqs(seat, settled)
    return ServerPlan(
        model=choice.preset.key,
        repo=variant.repo,
        pattern=variant.pattern,
        is_gated=variant.is_gated,
        quantization=variant.precision,
        method=variant.method,
        dtype=choice.dtype,
        runtime=choice.runtime,
        gpus=tuple(card.index for card in seat.cards if card.index is not None),
        weights_bytes=choice.weights_bytes,
        working_bytes=working * seat.n_cards,
        kv_bytes=kv_bytes * seat.n_cards,
        kv_bytes_per_token=choice.kv_bytes_per_token,
        max_model_len=window_tokens(choice, settled.context_tokens),
        max_num_seqs=n_seqs,
        max_num_batched_tokens=flags.n_batched_tokens,
        is_eager=flags.is_eager,
        capture_sizes=_capture_sizes(seat, flags),
        has_fp8_kv=choice.has_fp8_kv,
        gpu_memory_utilization=_utilization(seat, kv_bytes, 0 if is_pinned else working),
        is_kv_pinned=is_pinned,
        n_threads=_n_threads(seat, settled, request),
        n_investigations=max(1, min(n_seqs, _n_fitting(seat, settled))),
        notes=choice.notes,
    )


def _working(seat: Seat, settled: Settled, request: Request) -> int:
    return max(working_bytes(seat, settled.flags, card, request.measured) for card in seat.cards)


def _n_windows(seat: Seat, settled: Settled) -> float:
    """How many full context windows the server's KV cache holds."""
    window = window_tokens(seat.choice, settled.context_tokens)
    return _kv_share(seat, settled) / (kv_per_token(seat) * window)


def _n_fitting(seat: Seat, settled: Settled) -> int:
    """Investigations that fit at once; llama.cpp gives each a window of its own."""
    each = 1 if seat.choice.runtime == "llama.cpp" else _INVESTIGATION_WINDOWS
    return int(_n_windows(seat, settled) / each)


def _n_seqs(seat: Seat, settled: Settled) -> int:
    if seat.choice.runtime == "llama.cpp":
        return min(settled.flags.n_seqs, _n_fitting(seat, settled))
    return settled.flags.n_seqs


def _utilization(seat: Seat, kv_bytes: int, working: int) -> float:
    """Share of the card that must be free at the start, rounded down to a thousandth.

    A pinned server leaves its working memory out, so that a neighbour that took a little more than
    was planned does not stop it (serving-gpu.md fact 7).
    """
    budget = -(-seat.choice.weights_bytes // seat.n_cards) + kv_bytes + working
    return min(budget * 1000 // card.total_bytes for card in seat.cards) / 1000


def _loss(before: Settled, after: Settled) -> float:
    pairs = zip(before.sums, after.sums, strict=True)
    return max(1 - b.kv_bytes / a.kv_bytes for a, b in pairs)


def _kv_share(seat: Seat, settled: Settled) -> int:
    """KV bytes per card: what is left is shared so that all models get as many full windows."""
    flags, context_tokens = settled.flags, settled.context_tokens
    mine = kv_needed(seat, flags, context_tokens)
    shares: list[int] = []
    for card, one in zip(_cards(settled), settled.sums, strict=True):
        if card in seat.cards:
            shares.append(one.kv_bytes * mine // one.kv_needed_bytes)
    share = min(shares)
    if seat.cards[0].index is not None:
        return share
    window = window_tokens(seat.choice, context_tokens) * kv_per_token(seat)
    share = min(share, max(mine, _MOST_WINDOWS_IN_RAM * window))
    return share if seat.choice.runtime == "llama.cpp" else share // GIB * GIB


def _cards(settled: Settled) -> tuple[Card, ...]:
    return tuple(dict.fromkeys(card for seat in settled.seats for card in seat.cards))


def _has_neighbours(seat: Seat, settled: Settled) -> bool:
    others = (other for other in settled.seats if other is not seat)
    shares_card = any(card in other.cards for other in others for card in seat.cards)
    return shares_card or any(card.others_bytes for card in seat.cards)


def _capture_sizes(seat: Seat, flags: Flags) -> tuple[int, ...]:
    has_graphs = not flags.is_eager and all(card.index is not None for card in seat.cards)
    return SHORT_CAPTURE_SIZES if has_graphs and seat.is_small else ()


def _n_threads(seat: Seat, settled: Settled, request: Request) -> int:
    if seat.cards[0].index is not None:
        return 0
    if seat.choice.runtime == "llama.cpp" and seat.choice.weights_bytes < _TINY_BYTES:
        return 1
    return max(1, request.hardware.n_cores // len(settled.seats))
