"""How much two arms differ, and how sure that is. Pure.

A unit is one independent observation: a seed within one phase, or a whole phase where there are
several, for runs of one phase have its difficulty in common (E. Miller, Adding Error Bars to Evals,
arXiv:2411.00640, section 2.2). It counts for a measure where there is something to divide by.
Models share prompts, not randomness, so units are paired: only the difference within a unit counts.
Every measure is a ratio of sums; the mean is the one whose denominators are all 1. Its standard
error is the jackknife's over units (B. Efron and C. Stein, The Jackknife Estimate of Variance,
Annals of Statistics 9, 1981), which for a mean is the usual one.

Where the number of seeds was chosen after a first stage, from its spread alone, the error is that
of the first stage, with its degrees of freedom: the test is then exact whatever the spread, and the
smallest difference that it finds is the one asked for (C. Stein, A Two-Sample Test for a Linear
Hypothesis Whose Power is Independent of the Variance, Annals of Mathematical Statistics 16, 1945).
"""

import math
from bisect import bisect_left
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.compare.result import Effect, Interval
from engine.compare.student import quantile, two_sided_p

LEVEL = 0.95
POWER = 0.8
_ROUNDING = 1e-12

Array = npt.NDArray[np.float64]


class Units(NamedTuple):
    """What was measured in each unit."""

    sums: Array
    """Shape (..., units, 2 per arm): numerator and denominator of each arm in turn."""
    n_first: int | None = None
    """Units of the first stage, which come first; None: there was one stage."""


class Estimate(NamedTuple):
    """A value and its error."""

    value: Array
    """Shape (...); NaN: nothing to divide by."""
    error: Array
    """Standard error; NaN: too few units to tell."""
    n_units: int
    """Units that say something."""
    df: int
    """Degrees of freedom of the error."""

    @property
    def half_width(self) -> Array:
        """Half of the interval."""
        return self.error * (quantile((1 + LEVEL) / 2, self.df) if self.df > 0 else math.nan)


def value_of(totals: Array) -> Array:
    """Return the ratio of one arm, or the second ratio less the first: `totals` over the units."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = totals[..., 0::2] / totals[..., 1::2]
    ratios = np.where(np.isfinite(ratios), ratios, np.nan)
    return ratios[..., 0] if ratios.shape[-1] == 1 else ratios[..., 1] - ratios[..., 0]


def estimate(units: Units) -> Estimate:
    """Return the value over all units, and its error."""
    n_all = units.sums.shape[-2]
    told_by = units.sums[..., : units.n_first, :]
    return Estimate(
        value=value_of(units.sums.sum(axis=-2)),
        error=_spread(told_by) / math.sqrt(n_all) if n_all else np.full(told_by.shape[:-2], np.nan),
        n_units=n_telling(units.sums),
        df=n_telling(told_by) - 1,
    )


def n_telling(sums: Array) -> int:
    """Return in how many units there is something to divide by: in the arm with fewer of them."""
    return int((sums[..., 1::2] > 0).sum(axis=-2).min())


def _spread(sums: Array) -> Array:
    """Return the standard deviation of the jackknife's pseudo-values."""
    n_units = sums.shape[-2]
    if n_units < 2:  # noqa: PLR2004 - one value has no spread
        return np.full(sums.shape[:-2], np.nan)
    total = sums.sum(axis=-2, keepdims=True)
    whole = value_of(total)
    pseudo = n_units * whole - (n_units - 1) * value_of(total - sums)
    spread = pseudo.std(axis=-1, ddof=1)
    scale = np.abs(pseudo).max(axis=-1)
    return np.where(spread <= _ROUNDING * scale, 0.0, spread)


def interval_of(
    found: Estimate, *, bound: float | None = None, least: float | None = None
) -> Interval | None:
    """Return the interval of one estimate; None: it has none.

    `bound`: how far from zero a value can be, `least` how low; the interval ends there. Units that
    are all zero have no spread, but they do not exclude that one in so many is not: with a `bound`,
    the interval reaches up to the share of such units that 5 of 100 studies would have overlooked.
    """
    value, half = float(found.value), float(found.half_width)
    if math.isnan(value + half):
        return None
    if bound is not None and value == half == 0:
        half = bound * (1 - (1 - LEVEL) ** (1 / (found.df + 1)))
    low, high = value - half, value + half
    if bound is not None:
        low, high = max(low, -bound if least is None else least), min(high, bound)
    return Interval(low, high)


def effect_of(found: Estimate, *, bound: float | None = None) -> Effect:
    """Return one estimate of a difference in figures; `bound` as above."""
    value, error = float(found.value), float(found.error)
    interval = interval_of(found, bound=bound)
    return Effect(
        difference=None if math.isnan(value) else value,
        interval=interval,
        p=_p(value, error, found.df) if interval else None,
        mde=mde(error, found.df) if interval else None,
    )


def _p(value: float, error: float, df: int) -> float:
    """Return the two-sided p of no difference.

    Units that all differ by the same amount have no spread; what remains to be told is that all of
    them lie on one side, as all flips of a coin would in 2 of 2**units cases (the sign test).
    """
    if error == 0:
        return 1.0 if value == 0 else 2.0**-df
    return two_sided_p(value / error, df)


def mde(error: float, df: int) -> float:
    """Return the smallest difference that is found with probability `POWER`."""
    return error * reach(df)


def reach(df: int) -> float:
    """Return how many standard errors a difference must have to be found."""
    return quantile((1 + LEVEL) / 2, df) + quantile(POWER, df)


def n_for(spread: float, wanted: float, *, most: int) -> int:
    """Return how many units find a difference of `wanted`; `most` if that is more.

    `spread` is the standard deviation of one unit.
    """
    counts = range(2, most)
    return 2 + bisect_left(
        counts, x=True, key=lambda n: mde(spread / math.sqrt(n), n - 1) <= wanted
    )


def n_second_stage(units: Units, wanted: float) -> int:
    """Return how many units both stages need together, told from the first alone (Stein, 1945).

    At least as many as there are; the spread of the first stage decides, never its difference.
    """
    n_first, df = units.sums.shape[-2], n_telling(units.sums) - 1
    spread = float(_spread(units.sums))
    if math.isnan(spread) or df < 1:
        return n_first
    return max(n_first, math.ceil((reach(df) * spread / wanted) ** 2))


def holm(ps: list[float]) -> list[float]:
    """Return `ps` adjusted for being looked at together (S. Holm, Scand. J. Statist. 6, 1979)."""
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted
