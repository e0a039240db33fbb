"""Student's t for whole degrees of freedom, as closed sums. Pure.

Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4. Degrees of
freedom are numbers of units less one here, so that nothing more general is needed, and every figure
of a comparison is there without a package of its own for it.
"""

import math
from functools import cache

_STEPS = 60
"""Halvings of an interval: as many as a float can tell apart."""
_MOST_DF = 1_000
"""Beyond that, quantiles are those of this many: larger by less than 0.2 %."""


def share_within(t: float, df: int) -> float:
    """Return the probability that a t variable with `df` degrees of freedom is in [-t, t]."""
    if math.isinf(t):
        return 1.0
    angle = math.atan2(t, math.sqrt(df))
    cosine_squared = math.cos(angle) ** 2
    term, total = 1.0, 1.0
    for n in range(2 + df % 2, df - 1, 2):
        term *= cosine_squared * (n - 1) / n
        total += term
    if df % 2 == 0:
        return math.sin(angle) * total
    tail = math.sin(angle) * math.cos(angle) * total if df > 1 else 0.0
    return 2 / math.pi * (angle + tail)


def two_sided_p(t: float, df: int) -> float:
    """Return the probability of a t farther from zero than this one."""
    return max(0.0, 1 - share_within(abs(t), df))


@cache
def quantile(share: float, df: int) -> float:
    """Return the t below which a variable with `df` degrees of freedom is with this probability.

    `share` is at least one half.
    """
    if df > _MOST_DF:
        return quantile(share, _MOST_DF)
    low, high = 0.0, 1.0
    while share_within(high, df) < 2 * share - 1:
        high *= 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if share_within(middle, df) < 2 * share - 1 else (low, middle)
    return high
