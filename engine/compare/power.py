"""Which differences so many units find, and how many units find a difference. Pure."""

import math
from bisect import bisect_left

from engine.compare.estimate import LEAST_UNITS, LEVEL, Units, n_telling, spread_of
from engine.compare.student import quantile

POWER = 0.8


def mde(error: float, df: int) -> float:
    """Return the smallest difference that is found with probability `POWER`, tested by itself."""
    return error * reach(df)


def reach(df: int, n_tests: int = 1) -> float:
    """Return how many standard errors a difference must have to be found.

    `n_tests`: so many are adjusted for each other; of Holm's, the strictest is this one.
    """
    return quantile(1 - (1 - LEVEL) / 2 / n_tests, df) + quantile(POWER, df)


def n_for(spread: float, wanted: float, *, most: int) -> int:
    """Return how many units find a difference of `wanted`; `most` if that is more.

    `spread` is the standard deviation of one unit.
    """
    counts = range(2, most)
    return 2 + bisect_left(
        counts, x=True, key=lambda n: mde(spread / math.sqrt(n), n - 1) <= wanted
    )


def n_second_stage(
    units: Units, wanted: float, *, bound: float | None = None, n_tests: int = 1
) -> int:
    """Return how many units both stages need together, told from the first alone (Stein, 1945).

    `n_tests`: of pairs of arms and phases together, see `reach`. At least as many as there are, and
    as many as it takes to say anything, where few of the first do: nothing can be told where none
    does. The spread of the first stage decides, never its difference; without any, shares, which
    have a `bound`, take as many units as exclude `wanted`.
    """
    n_first, telling = units.sums.shape[-2], n_telling(units.sums)
    if not telling:
        return n_first
    spread = float(spread_of(units.sums))
    alike = n_unanimous(wanted / bound) if bound and spread == 0 and wanted < bound else 0
    least = max(LEAST_UNITS, alike)
    is_unknown = math.isnan(spread) or telling == 1
    n = 0 if is_unknown else (reach(telling - 1, n_tests) * spread / wanted) ** 2
    return math.ceil(max(n_first, least * n_first / telling, n))


def n_unanimous(wanted: float) -> int:
    """Return of how many units that are all alike a share of `wanted` cannot be overlooked."""
    return math.ceil(math.log(1 - LEVEL) / math.log(1 - wanted))
