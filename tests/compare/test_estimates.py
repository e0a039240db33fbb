"""Estimates, against other people's implementations."""

import math
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.compare.estimate import (
    Array,
    Units,
    effect_of,
    estimate,
    holm,
    mde,
    n_for,
    n_second_stage,
)
from engine.compare.student import quantile, share_within, two_sided_p
from engine.compare.survival import kaplan_meier


def of_means(first: Array, second: Array) -> Array:
    ones = np.ones_like(first)
    return np.stack([first, ones, second, ones], axis=-1)


@given(t=st.floats(0, 40), df=st.integers(1, 400))
def test_students_t_is_scipys(t: float, df: int) -> None:
    assert two_sided_p(t, df) == pytest.approx(2 * stats.t.sf(t, df), abs=2e-9)


@given(share=st.floats(0.5, 0.999), df=st.integers(1, 400))
def test_quantiles_are_scipys(share: float, df: int) -> None:
    assert quantile(share, df) == pytest.approx(stats.t.ppf(share, df), rel=1e-7, abs=1e-9)


def test_everything_lies_within_infinity() -> None:
    assert share_within(math.inf, 3) == 1


def test_a_difference_of_means_is_the_paired_t_test() -> None:
    drawn = np.random.default_rng(1)
    first, second = drawn.poisson(5, 9).astype(float), drawn.poisson(6, 9).astype(float)
    found = effect_of(estimate(Units(of_means(first, second))))
    oracle = cast("Any", stats.ttest_rel(second, first))
    interval = oracle.confidence_interval()
    assert found.interval is not None
    assert found.p == pytest.approx(float(oracle.pvalue))
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (float(interval.low), float(interval.high))
    )


def test_a_ratio_of_sums_has_the_error_of_the_cluster_robust_one() -> None:
    """For many clusters, the jackknife is the linearised error of a ratio of sums."""
    drawn = np.random.default_rng(2)
    blocks = drawn.integers(5, 15, size=400).astype(float)
    errors = drawn.binomial(blocks.astype(int), drawn.beta(2, 6, size=400)).astype(float)
    found = estimate(Units(np.stack([errors, blocks], axis=-1)))
    rate = errors.sum() / blocks.sum()
    residuals = (errors - rate * blocks) / blocks.mean()
    assert float(found.value) == pytest.approx(rate)
    assert float(found.error) == pytest.approx(residuals.std(ddof=1) / 20, rel=0.01)


def test_a_rate_without_blocks_in_one_arm_is_no_difference() -> None:
    sums = np.array([[1.0, 4, 0, 0], [0, 3, 0, 0], [2, 5, 0, 0]])
    found = effect_of(estimate(Units(sums)))
    assert (found.difference, found.interval, found.p) == (None, None, None)


def test_one_unit_has_a_difference_and_no_interval() -> None:
    found = effect_of(estimate(Units(of_means(np.array([2.0]), np.array([5.0])))))
    assert (found.difference, found.interval, found.p) == (3, None, None)


def test_units_that_never_differ_do_not_prove_that_a_share_is_the_same() -> None:
    never = np.zeros(6)
    found = effect_of(estimate(Units(of_means(never, never))), bound=1.0)
    assert found.interval is not None
    assert found.interval.high == pytest.approx(1 - 0.05 ** (1 / 6))
    assert found.p == 1


@pytest.mark.parametrize("n", [2, 6, 12])
def test_units_that_all_differ_alike_are_as_sure_as_the_sign_test(n: int) -> None:
    from scipy.stats import binomtest

    found = effect_of(estimate(Units(of_means(np.zeros(n), np.ones(n)))))
    assert found.p == pytest.approx(float(binomtest(n, n).pvalue))


def test_holm_is_that_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    ps = [0.01, 0.04, 0.03, 0.2, 0.9, 0.001]
    oracle = np.asarray(multipletests(ps, method="holm")[1], float)
    assert holm(ps) == pytest.approx(oracle.tolist())


@pytest.mark.parametrize("n", [6, 8, 12, 30, 100])
def test_the_smallest_difference_that_is_found_has_that_power(n: int) -> None:
    from statsmodels.stats.power import TTestPower

    found = mde(1 / math.sqrt(n), n - 1)
    assert TTestPower().power(found, n, 0.05) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("wanted", [0.2, 0.5, 1.0, 2.0])
def test_as_many_units_as_find_a_difference_and_no_more(wanted: float) -> None:
    n = n_for(1.0, wanted, most=10_000)
    assert mde(1 / math.sqrt(n), n - 1) <= wanted < mde(1 / math.sqrt(n - 1), n - 2)


def test_the_second_stage_follows_from_the_scatter_and_not_from_the_difference() -> None:
    drawn = np.random.default_rng(3)
    first, second = drawn.normal(size=10), drawn.normal(size=10)
    n = n_second_stage(Units(of_means(first, second)), 0.5)
    assert n > 10
    assert n_second_stage(Units(of_means(first, second + 3)), 0.5) == n


def test_errors_after_two_stages_are_those_of_the_first() -> None:
    drawn = np.random.default_rng(4)
    sums = of_means(np.zeros(40), drawn.normal(size=40))
    found = estimate(Units(sums, n_first=10))
    spread = sums[:10, 2].std(ddof=1)
    assert float(found.error) == pytest.approx(spread / math.sqrt(40))
    assert found.df == 9


def test_survival_is_that_of_scipy() -> None:
    lengths, ends = [3, 5, 5, 8, 8, 8, 12, 12], [True, True, False, True, True, False, False, False]
    steps = kaplan_meier(list(zip(lengths, ends, strict=True)))
    pairs = list(zip(lengths, ends, strict=True))
    gone = [length for length, _ in pairs]
    data = stats.CensoredData.right_censored(gone, [not is_end for _, is_end in pairs])
    oracle: Any = stats.ecdf(data).sf
    bounds: Any = oracle.confidence_interval(method="log-log")
    for step in steps:
        if step.n_ended == 0:
            continue
        assert step.share == pytest.approx(float(oracle.evaluate(step.turn)))
        assert step.interval is not None
        assert step.interval.low == pytest.approx(float(bounds.low.evaluate(step.turn)))
        assert step.interval.high == pytest.approx(float(bounds.high.evaluate(step.turn)))
