"""From an effect to a verdict: differ, tied, or how many runs are missing. Pure.

differ: p, adjusted for all that is tested beside it, is below 0.05, from at least six units.
tied: the whole 95 % interval lies within the margin (equivalence by interval inclusion, as in
D. Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987, with its 90 % interval widened to the one that
is shown). Otherwise there are not enough runs: below six units nothing is said, for a test by signs
could not find anything there either; from six on, as many are missing as it takes to find a
difference of the size of the margin with 80 % probability.

Units that are all alike do not tell how far one that is not may be: without a bound to that, as
shares have, they are not called tied until one in five that is otherwise would have been seen, and
never where all of them are zero. Units in which an arm has nothing to divide by say nothing about
that measure, and are none of the six; of those that are missing, as many are taken to say something
as of those that there are.
"""

import math
from typing import NamedTuple

from engine.compare.catalogue import OTHER_MARGIN, SHARE_MARGIN, Measure
from engine.compare.estimate import LEAST_UNITS, LEVEL
from engine.compare.power import n_for, n_unanimous
from engine.compare.result import Effect, Interval, Word

MANY = 10_000
"""So many missing units, or more, are not told from each other."""
_ALIKE_UNITS = n_unanimous(OTHER_MARGIN)
"""So many that are all alike leave no more of them to be otherwise than counts as a difference."""


class Verdict(NamedTuple):
    """What can be said about a difference."""

    word: Word
    n_more: int | None = None
    """Units that are missing, where that can be told; `MANY`: as many at least."""


def margin_of(measure: Measure, values: tuple[float | None, float | None]) -> float | None:
    """Return up to where a difference counts as none; None: there are no values."""
    if measure.is_share:
        return SHARE_MARGIN
    known = [abs(value) for value in values if value is not None]
    return OTHER_MARGIN * sum(known) / len(known) if known else None


def judge(
    effect: Effect,
    *,
    n_units: int,
    n_telling: int,
    error: float,
    p: float | None,
    margin: float | None,
) -> Verdict:
    """Return the verdict on `effect`, seen in `n_units`, of which `n_telling` say something.

    `error`: its standard error; `p` is adjusted.
    """
    if n_units and effect.difference is None:
        return Verdict("not measured")
    if n_telling < LEAST_UNITS:
        return Verdict("not enough runs", _more(LEAST_UNITS - n_telling, n_units, n_telling))
    if effect.interval is None or not margin or p is None:
        return Verdict("not enough runs")
    if p < 1 - LEVEL:
        return Verdict("differ")
    if _is_within(effect.interval, margin) and not _is_blind(effect.interval, n_telling):
        return Verdict("tied")
    lacking = _enough(effect, n_telling, error, p, margin) - n_telling
    return Verdict("not enough runs", _more(max(1, lacking), n_units, n_telling))


def _is_within(interval: Interval, margin: float) -> bool:
    return -margin <= interval.low and interval.high <= margin


def _is_blind(interval: Interval, n_telling: int) -> bool:
    """Tell whether so few units do not scatter, and nothing bounds what one may be."""
    return interval.low == interval.high and n_telling < _ALIKE_UNITS


def _more(lacking: int, n_units: int, n_telling: int) -> int:
    """Return of how many units so many that say something are to be expected."""
    return min(MANY, math.ceil(lacking * n_units / n_telling) if n_telling else lacking)


def _enough(effect: Effect, n_telling: int, error: float, p: float, margin: float) -> int:
    """Return how many units that say something it takes in all."""
    if error:
        return n_for(error * math.sqrt(n_telling), margin, most=MANY + n_telling)
    if effect.difference:  # the same in every unit: each one more halves the p of the sign test
        return n_telling + math.floor(math.log2(p / (1 - LEVEL))) + 1
    if effect.interval and effect.interval.low == effect.interval.high:
        return _ALIKE_UNITS
    return n_unanimous(margin) if margin < 1 else MANY + n_telling
