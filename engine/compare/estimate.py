"""How much two arms differ, and how sure that is. Pure.

A unit is one independent observation: a seed within one phase, or a whole phase where there are
several, for runs of one phase have its difficulty in common (E. Miller, Adding Error Bars to Evals,
arXiv:2411.00640, section 2.2). It counts for a measure where there is something to divide by.
Models share prompts, not randomness, so units are paired: only the difference within a unit counts.
Every measure is a ratio of sums; the mean is the one whose denominators are all 1. Its standard
error is the jackknife's over units (B. Efron and C. Stein, The Jackknife Estimate of Variance,
Annals of Statistics 9, 1981), which for a mean is the usual one.

Where the number of seeds was chosen after a first stage, from the spread of one measure in it, the
error of that measure is that of the first stage, with its degrees of freedom: the test is then
exact whatever the spread, and the smallest difference that it finds is the one asked for (C. Stein,
A Two-Sample Test for a Linear Hypothesis Whose Power is Independent of the Variance, Annals of
Mathematical Statistics 16, 1945). A first stage in which an arm does not scatter, or hardly
anything was measured, tells no error; that of all units does.

The error of any other measure is that of all units. Their number depends on nothing but the spread
of the first ones in the measure that decided; what a measure shows does not bear on it. At worst it
scatters with the one that decided: where that scatters little by chance there are few units, so
that small errors are kept and large ones diluted. Its test then finds a difference that is not
there in up to 7 of 100 studies instead of 5 (simulated in tests/compare/test_error_rates.py; on the
kind: J. Wittes and E. Brittain, The Role of Internal Pilot Studies, Statistics in Medicine 9,
1990).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.compare.result import Interval
from engine.compare.student import quantile

LEVEL = 0.95
LEAST_UNITS = 6
"""Below them nothing is said: a test by signs could not find anything in them."""
_ROUNDING = 1e-12

Array = npt.NDArray[np.float64]


class Units(NamedTuple):
    """What was measured in each unit."""

    sums: Array
    """Shape (..., units, 2 per arm): numerator and denominator of each arm in turn."""
    n_first: int | None = None
    """Units of the first stage, which come first, if its spread of this very measure decided how
    many there are; None: it did not."""


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
    unseen: Array
    """How far the shares of arms whose units are all alike may be from what these show."""
    sums: Array
    """Of all units, see `Units`."""

    @property
    def half_width(self) -> Array:
        """Half of the interval."""
        return self.error * self._n_errors

    @property
    def is_ratio_of_sums(self) -> bool:
        """Whether units weigh differently: what is divided by is not the same in all of them."""
        below = self.sums[..., 1::2]
        return bool((below != below.max(initial=0.0)).any())

    def within(self, bound: float | None) -> "Estimate":
        """Return the same with an error that has `unseen` in it: with a `bound`, as shares have.

        Half-widths are added as the squares of them: G. Zou and A. Donner, Construction of
        Confidence Limits about Effect Measures, Statistics in Medicine 27, 2008 (MOVER).
        """
        if bound is None:
            return self
        return self._replace(error=np.hypot(self.error, self.unseen / self._n_errors))

    @property
    def _n_errors(self) -> float:
        return quantile((1 + LEVEL) / 2, self.df) if self.df > 0 else math.nan


def value_of(totals: Array) -> Array:
    """Return the ratio of one arm, or the second ratio less the first: `totals` over the units."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = totals[..., 0::2] / totals[..., 1::2]
    ratios = np.where(np.isfinite(ratios), ratios, np.nan)
    return ratios[..., 0] if ratios.shape[-1] == 1 else ratios[..., 1] - ratios[..., 0]


def estimate(units: Units) -> Estimate:
    """Return the value over all units, and its error."""
    told_by = _told_by(units)
    return Estimate(
        value=value_of(units.sums.sum(axis=-2)),
        error=_error(told_by, units.sums.shape[-2]),
        n_units=n_telling(units.sums),
        df=n_telling(told_by) - 1,
        unseen=_unseen(units.sums),
        sums=units.sums,
    )


def _told_by(units: Units) -> Array:
    """Return the units whose spread is the error: those of the first stage, or all."""
    first = units.sums[..., : units.n_first, :]
    has_told = n_telling(first) >= LEAST_UNITS and not _are_alike(first).any()
    return first if has_told else units.sums


def _error(told_by: Array, n_units: int) -> Array:
    spread = spread_of(told_by)
    return spread / math.sqrt(n_units) if n_units else np.full_like(spread, np.nan)


def n_telling(sums: Array) -> int:
    """Return in how many units there is something to divide by: in the arm with fewer of them."""
    return int(_n_telling(sums).min())


def _n_telling(sums: Array) -> Array:
    """Return it for each arm."""
    return (sums[..., 1::2] > 0).sum(axis=-2).astype(float)


def _are_alike(sums: Array) -> Array:
    """Tell of each arm whether all units that say something say the same."""
    above, below = sums[..., 0::2], sums[..., 1::2]
    ratios = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    low, high = (np.where(below > 0, ratios, end) for end in (np.inf, -np.inf))
    widest = high.max(axis=-2, initial=-np.inf) - low.min(axis=-2, initial=np.inf)
    return widest <= _ROUNDING


def _unseen(sums: Array) -> Array:
    """Return how far both arms' shares may be from what units that are all alike show.

    Nothing for arms that are alike themselves, see `interval_of`.
    """
    alike = _are_alike(sums)
    if alike.shape[-1] == 1:
        return np.zeros(alike.shape[:-1])
    far = np.where(alike, overlooked(np.maximum(1, _n_like(sums))), 0.0)
    is_same = alike.all(axis=-1) & (value_of(sums.sum(axis=-2)) == 0)
    return np.where(is_same, 0.0, np.hypot(far[..., 0], far[..., 1]))


def _n_like(sums: Array) -> Array:
    """Return how many independent observations the units of each arm are like.

    Units without spread do not tell, so the other arm does: by its error as many as its share would
    have that error from, and of them as many as this arm has occasions, or units, for each of that
    one's. At the least, units are independent.
    """
    n_each, occasions = _n_telling(sums), sums[..., 1::2].sum(axis=-2)
    shares = sums[..., 0::2].sum(axis=-2) / np.maximum(occasions, _ROUNDING)
    errors = np.stack([_error(sums[..., at : at + 2], sums.shape[-2]) for at in (0, 2)], axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        like = (shares * (1 - shares) / errors**2)[..., ::-1]
        fewer = np.minimum(occasions / occasions[..., ::-1], n_each / n_each[..., ::-1])
        return np.fmax(n_each, np.where(errors[..., ::-1] > 0, like * fewer, 0.0))


def overlooked(n: Array) -> Array:
    """Return the share of observations that 5 of 100 studies with `n` of them have none of."""
    return 1 - (1 - LEVEL) ** (1 / n)


def spread_of(sums: Array) -> Array:
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
    The same holds of an arm alone, which has a `least`, whose units are all at the bound.
    """
    value, half = float(found.value), float(found.half_width)
    if math.isnan(value + half):
        return None
    is_full = least is not None and bound is not None and value >= bound - _ROUNDING
    if bound is not None and half == 0 and (value == 0 or is_full):
        half = bound * float(overlooked(np.array(found.df + 1.0)))
    low, high = value - half, value + half
    if bound is not None:
        low, high = max(low, -bound if least is None else least), min(high, bound)
    return Interval(low, high)
