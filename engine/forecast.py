"""How long a study will take: from runs that are remembered, or from its own first minutes. Pure.

A forecast is a band. Its ends are what would be true if more at once cost nothing, and if more at
once brought nothing: which of the two a server is nearer to is known only once it was tried.
"""

import math
from collections.abc import Iterable, Sequence

import msgspec

_LEAST_ERROR = 0.1
"""Relative: no two runs take the same time."""
_MOST_ERROR = 0.8
_SPREAD_OF_ONE = 0.5
"""Relative spread between investigations that is assumed where only one is remembered."""
_SLOWING = 1.25
"""How much slower the rest of a run may be: conversations grow."""


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds."""

    low_s: float
    likely_s: float
    high_s: float

    def __add__(self, other: "Band") -> "Band":
        """Return one after the other."""
        return Band(
            low_s=self.low_s + other.low_s,
            likely_s=self.likely_s + other.likely_s,
            high_s=self.high_s + other.high_s,
        )


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed of one model in one phase at one place."""

    model: str
    place: str
    """Hardware and way of serving, or the host of an endpoint and its name for the model."""
    phase: str
    phase_fingerprint: str
    n: int
    """Investigations that the model ended by itself."""
    n_at_once: float
    """Of them under way at the same time, on average."""
    n_beside: int
    """Other models that were asked at the same time."""
    each_s: float
    """Mean duration of one."""
    spread_s: float
    """Standard deviation of it; 0 with one."""
    turns: float
    """Mean of one."""
    prompt_tokens: float
    cached_tokens: float
    completion_tokens: float
    time: float
    """When, seconds since the epoch."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with one model in one phase."""

    model: str
    place: str
    phase: str
    phase_fingerprint: str
    n: int
    n_at_once: int
    """Investigations at once at most."""
    n_beside: int = 0
    """Other models that are asked at the same time."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How far one model of a run is."""

    turns_per_s: float
    """Of late, of all its investigations together."""
    n_turns: int
    n_ended: int
    n_left: int
    """Investigations that are under way or not begun."""
    n_turns_under_way: int
    """Turns of those that are under way."""
    most_turns: float
    """Turns that one investigation may have, on average over phases."""


def find_pace(work: Work, paces: Iterable[Pace]) -> Pace | None:
    """Return what is remembered of the same work under the most similar load; the latest of it."""
    same = [pace for pace in paces if _is_same(work, pace) and pace.n]
    n_at_once = min(work.n_at_once, work.n)
    return min(
        same,
        key=lambda pace: (round(abs(math.log(n_at_once / pace.n_at_once)), 1), -pace.time),
        default=None,
    )


def expected(work: Work, pace: Pace) -> Band:
    """Return how long `work` takes after what `pace` showed."""
    n_at_once = min(work.n_at_once, work.n)
    rates = (n_at_once / pace.each_s, pace.n_at_once / pace.each_s)  # investigations per second
    fast, slow = max(rates), min(rates)
    crowding = (1 + work.n_beside) / (1 + pace.n_beside)
    fast, slow = fast / min(1.0, crowding), slow / max(1.0, crowding)
    tail_s = n_at_once / slow if work.n > n_at_once else 0.0
    error = _error(work, pace)
    low_s, high_s = work.n / fast * (1 - error), (work.n / slow + tail_s) * (1 + error)
    return Band(low_s=low_s, likely_s=math.sqrt(low_s * high_s), high_s=high_s)


def ahead(seen: Seen) -> Band | None:
    """Return how long a run will still take after what is `seen`; None while nothing moves.

    Turns per investigation are estimated as if each turn were the last with one probability, so
    that those under way count for what they have done. While none has ended, all may go on to
    their last turn.
    """
    if not seen.turns_per_s:
        return None
    most = max(0.0, seen.n_left * seen.most_turns - seen.n_turns_under_way)
    least = min(most, float(seen.n_left))
    likely, error = most, 0.0
    if seen.n_ended:
        each = min(seen.most_turns, seen.n_turns / seen.n_ended)
        likely, error = min(most, seen.n_left * each), 1 / math.sqrt(seen.n_ended)
        least = max(least, likely * (1 - min(_MOST_ERROR, max(_LEAST_ERROR, error))))
        most = min(most, likely * (1 + max(_LEAST_ERROR, error)))
    likely = max(least, likely)
    return Band(
        low_s=least / seen.turns_per_s,
        likely_s=likely / seen.turns_per_s,
        high_s=max(likely, most) * _SLOWING / seen.turns_per_s,
    )


def together(bands: Sequence[Band]) -> Band:
    """Return how long all of them take at the same time."""
    return Band(
        low_s=max(band.low_s for band in bands),
        likely_s=max(band.likely_s for band in bands),
        high_s=max(band.high_s for band in bands),
    )


def one_after_another(bands: Sequence[Band]) -> Band:
    """Return how long all of them take in turn."""
    return sum(bands[1:], bands[0])


def _is_same(work: Work, pace: Pace) -> bool:
    asked = (work.model, work.place, work.phase_fingerprint)
    return asked == (pace.model, pace.place, pace.phase_fingerprint)


def _error(work: Work, pace: Pace) -> float:
    """Return the relative error of a mean over `work` that is foretold: two sigma."""
    spread = pace.spread_s / pace.each_s if pace.n > 1 else _SPREAD_OF_ONE
    return min(_MOST_ERROR, max(_LEAST_ERROR, 2 * spread * math.sqrt(1 / pace.n + 1 / work.n)))
