"""Exchanges of two arms within units, against other people's, and the p of ratios that has them."""

from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

from engine.compare.estimate import Array, Units, estimate
from engine.compare.exchange import p_of_exchange, signs
from engine.compare.significance import effect_of
from engine.compare.student import two_sided_p


def rates(drawn: np.random.Generator, first: float, second: float, n: int) -> Array:
    """Sums of two arms that fail in these shares of five to fifteen blocks."""
    blocks = drawn.integers(5, 15, size=(n, 2))
    failed = drawn.binomial(blocks, [first, second])
    return np.stack([failed, blocks], axis=-1).reshape(n, 4).astype(float)


def test_the_part_of_exchanges_that_differ_as_much_is_scipys() -> None:
    sums = rates(np.random.default_rng(1), 0.3, 0.4, 8)
    rows = sums.reshape(-1, 2)

    def apart(first: Array, second: Array) -> float:
        (a, n), (b, m) = (rows[each.astype(int)].sum(axis=0) for each in (first, second))
        return abs(b / m - a / n)

    pairs = (np.arange(0, 16, 2), np.arange(1, 16, 2))
    oracle = cast(
        "Any",
        stats.permutation_test(
            pairs, apart, permutation_type="samples", alternative="greater", vectorized=False
        ),
    )
    assert 0.05 < p_of_exchange(sums) < 0.95
    assert p_of_exchange(sums) == pytest.approx(float(oracle.pvalue))


def test_of_many_units_exchanges_are_drawn_and_come_near_all_of_them() -> None:
    sums = rates(np.random.default_rng(2), 0.3, 0.35, 16)
    found = effect_of(estimate(Units(sums)), bound=1.0)
    assert len(signs(16)) < 2**15
    assert found.p == pytest.approx(p_of_exchange(sums), abs=0.03)


def test_a_rate_has_the_larger_p_of_its_error_and_of_exchanges() -> None:
    sums = rates(np.random.default_rng(1), 0.3, 0.4, 8)
    estimated = estimate(Units(sums))
    by_error = two_sided_p(float(estimated.value / estimated.error), estimated.df)
    found = effect_of(estimated, bound=1.0)
    assert found.p == max(by_error, p_of_exchange(sums))


def test_what_no_exchange_repeats_is_as_sure_as_its_error() -> None:
    sums = rates(np.random.default_rng(3), 0.05, 0.8, 8)
    found = effect_of(estimate(Units(sums)), bound=1.0)
    assert p_of_exchange(sums) == 0
    assert found.p is not None
    assert found.p < 1e-4 < 2 / 2**8


def test_means_are_tested_by_their_error_alone() -> None:
    drawn = np.random.default_rng(4)
    first, second = drawn.poisson(5, 9).astype(float), drawn.poisson(6, 9).astype(float)
    ones = np.ones(9)
    found = effect_of(estimate(Units(np.stack([first, ones, second, ones], axis=-1))))
    oracle = cast("Any", stats.ttest_rel(second, first))
    assert found.p == pytest.approx(float(oracle.pvalue))


def test_an_exchange_that_leaves_an_arm_without_blocks_counts_as_one_that_differs_as_much() -> None:
    sums = np.array([[1.0, 4, 0, 0], [0, 0, 2, 4], [0, 0, 2, 4]])
    assert p_of_exchange(sums) == 2 / 4
