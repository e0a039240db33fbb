"""How surely an estimate of a difference is none by chance. Pure.

A ratio of sums has two tests, and the larger p of them: that of its error, and that of exchanging
the arms within units, see `exchange`. By its error alone, arms that are the same are told apart in
up to 15 of 100 studies of six seeds instead of 5 where some investigations get stuck; with both, in
fewer than 3 (simulated in tests/compare/test_error_rates.py). Where no other exchange differs as
much, exchanges have said all that they can, and the error tells how far beyond that it is: without
it, no difference between eight seeds could be found beside twenty other measures. After two stages
there are both as well: the larger p can only be the more careful one.
"""

import math

from engine.compare.estimate import Estimate, interval_of
from engine.compare.exchange import p_of_exchange
from engine.compare.power import mde
from engine.compare.result import Effect
from engine.compare.student import two_sided_p


def effect_of(estimated: Estimate, *, bound: float | None = None) -> Effect:
    """Return one estimate of a difference in figures; `bound`: see `interval_of`."""
    found = estimated.within(bound)
    value = float(found.value)
    interval = interval_of(found, bound=bound)
    return Effect(
        difference=None if math.isnan(value) else value,
        interval=interval,
        p=_p(found) if interval else None,
        mde=_mde(found, bound) if interval else None,
    )


def _p(found: Estimate) -> float:
    """Return the two-sided p of no difference."""
    by_error = _p_by_error(float(found.value), float(found.error), found.df)
    return max(by_error, p_of_exchange(found.sums)) if found.is_ratio_of_sums else by_error


def _p_by_error(value: float, error: float, df: int) -> float:
    """Return it from the error alone.

    Units that all differ by the same amount have no spread; what remains to be told is that all of
    them lie on one side, as all flips of a coin would in 2 of 2**units cases (the sign test).
    """
    if error == 0:
        return 1.0 if value == 0 else 2.0**-df
    return two_sided_p(value / error, df)


def _mde(found: Estimate, bound: float | None) -> float | None:
    """Return what would be found; None: nothing scatters, or no difference can be so large."""
    smallest = mde(float(found.error), found.df)
    return smallest if 0 < smallest <= (bound or math.inf) else None


def holm(ps: list[float]) -> list[float]:
    """Return `ps` adjusted for being looked at together (S. Holm, Scand. J. Statist. 6, 1979)."""
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted
