"""Endless repetition, within a reply and across turns. Pure."""

from collections.abc import Sequence

_MOST_PERIOD_CHARS = 200
_LEAST_REPEATED_CHARS = 240
_LEAST_COPIES = 4
_MOST_PERIOD_TURNS = 3


def runs_in_circles(text: str) -> bool:
    """Whether `text` ends in one passage said over and over."""
    tail = text.rstrip()
    return any(
        _n_copies(tail, period) * period >= _LEAST_REPEATED_CHARS
        for period in range(1, min(_MOST_PERIOD_CHARS, len(tail) // _LEAST_COPIES) + 1)
        if tail.endswith(tail[-period:] * _LEAST_COPIES)
    )


def n_repeats(turns: Sequence[object]) -> int:
    """Return how often the last turns repeat what was done before them.

    0 when the last turn is new. Cycles of up to three turns count: a, b, a, b repeats once.
    """
    return max(
        (_n_copies(turns, period) - 1 for period in range(1, _MOST_PERIOD_TURNS + 1)), default=0
    )


def _n_copies(items: Sequence[object], period: int) -> int:
    """Return how many copies of the last `period` items stand at the end, in a row."""
    n_items = len(items)
    if period > n_items:
        return 1
    n_same = 0
    while n_same + period < n_items and items[-1 - n_same] == items[-1 - n_same - period]:
        n_same += 1
    return 1 + n_same // period
