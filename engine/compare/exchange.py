"""What chance does: two arms exchanged within units, in all ways or in many drawn ones. Pure.

Where arms are the same, which of the two values of a unit is whose is chance, and all exchanges are
equally likely (R. A. Fisher, The Design of Experiments, 1935; P. Good, Permutation Tests, 2000).
Nothing needs to be known about how values are distributed, nor that the parts of a ratio are
independent: investigations that get stuck have more blocks and more errors in them, and a few units
then decide a ratio of sums more than its error, which is told from the others, shows.
"""

from functools import lru_cache
from itertools import product

import numpy as np

from engine.compare.estimate import Array, value_of

_EXACT_UNITS = 12
"""Up to this many units, all exchanges are tried."""
_N_DRAWN = 4_000
_KEPT = 8
_ROUNDING = 1e-9


@lru_cache(_KEPT)
def signs(n_units: int) -> Array:
    """Return 1 for each unit that stays and -1 for each that is exchanged; one row per exchange.

    The first row exchanges nothing. Of two rows that are each other's reverse, one is there where
    all are tried: the size of a difference is the same in both.
    """
    if n_units <= _EXACT_UNITS:
        rows = [(1.0, *rest) for rest in product((1.0, -1.0), repeat=max(0, n_units - 1))]
        found = np.array(rows)
    else:
        found = np.random.default_rng(0).choice((1.0, -1.0), size=(_N_DRAWN, n_units))
        found[0] = 1.0
    found.setflags(write=False)
    return found


def p_of_exchange(sums: Array) -> float:
    """Return in which part of the exchanges two ratios differ at least as much as they do.

    `sums`: shape (units, 4), see `Units`. 0: in none but the one that exchanges nothing; how much
    rarer than that the difference is, exchanges of so many units cannot tell. An exchange after
    which there is nothing to divide by counts as one that differs as much.
    """
    first, second = sums[:, :2], sums[:, 2:]
    both, apart = (first + second).sum(axis=0), signs(len(sums)) @ (second - first)
    sizes = np.abs(value_of(np.concatenate([both - apart, both + apart], axis=-1)))
    n_as_far = int((~(sizes < sizes[0] * (1 - _ROUNDING))).sum())
    return n_as_far / len(sizes) if n_as_far > 1 else 0.0
