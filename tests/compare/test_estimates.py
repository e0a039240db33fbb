"""Estimates, against other people's implementations."""

import math
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from engine.compare.estimate import Array, Units, estimate, interval_of
from engine.compare.power import mde, n_for, n_second_stage
from engine.compare.significance import effect_of, holm
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


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_one_arm_that_is_at_an_end_in_all_units_may_be_less_extreme(
    share: float,
) -> None:
    found = interval_of(estimate(Units(np.array([[5 * share, 5.0]] * 10))), bound=1.0, least=0.0)
    assert found is not None
    far = 1 - 0.05 ** (1 / 10)
    assert (found.low, found.high) == pytest.approx((0, far) if share == 0 else (1 - far, 1))


def test_a_difference_larger_than_there_can_be_is_not_said_to_be_found() -> None:
    sums = of_means(np.array([0.0, 0.8]), np.array([0.8, 0.2]))
    assert effect_of(estimate(Units(sums)), bound=1.0).mde is None
    assert effect_of(estimate(Units(sums))).mde is not None


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
    sums = of_means(drawn.normal(size=40), drawn.normal(size=40))
    found = estimate(Units(sums, n_first=10))
    spread = (sums[:10, 2] - sums[:10, 0]).std(ddof=1)
    assert float(found.error) == pytest.approx(spread / math.sqrt(40))
    assert found.df == 9


def test_a_first_stage_in_which_an_arm_does_not_scatter_tells_no_error() -> None:
    drawn = np.random.default_rng(5)
    rare = np.zeros(40)
    rare[30] = 1.0
    sums = of_means(rare, drawn.normal(size=40))
    found, whole = estimate(Units(sums, n_first=10)), estimate(Units(sums))
    assert (float(found.error), found.df) == (float(whole.error), 39)


def test_a_first_stage_with_something_to_divide_by_in_few_units_tells_no_error() -> None:
    drawn = np.random.default_rng(6)
    sums = of_means(drawn.normal(size=40), drawn.normal(size=40))
    sums[5:10] = 0.0
    found, whole = estimate(Units(sums, n_first=10)), estimate(Units(sums))
    assert (float(found.error), found.df) == (float(whole.error), 34)


def repairs(n_failing: int, share: float) -> Array:
    """Twenty units: failures in all of one arm, of which a share is repaired; few in the other."""
    few = (np.arange(20) < n_failing).astype(float)
    many = np.full(20, 10.0)
    repaired = many * share + np.resize([1.0, -1.0], 20)
    return np.stack([repaired, many, few, few], axis=-1)


def test_a_share_whose_few_units_are_all_alike_is_not_taken_for_exact() -> None:
    found = effect_of(estimate(Units(repairs(7, 0.8))), bound=1.0)
    assert found.p is not None
    assert found.p > 0.05
    assert found.interval is not None
    assert found.interval.low < 0 < found.interval.high


def test_a_share_whose_few_units_are_all_alike_can_be_clearly_another_one() -> None:
    found = effect_of(estimate(Units(repairs(7, 0.3))), bound=1.0)
    assert found.p is not None
    assert found.p < 0.01


def test_a_share_that_is_never_seen_in_many_occasions_is_told_from_a_small_one() -> None:
    blocks, none = np.full(20, 12.0), np.zeros(20)
    errors = np.resize([0.0, 1, 2, 1], 20)
    sums = np.stack([none, blocks, errors, blocks], axis=-1)
    found = effect_of(estimate(Units(sums)), bound=1.0)
    assert found.p is not None
    assert found.p < 0.001


def test_a_first_stage_of_which_few_units_say_something_is_enlarged_until_six_do() -> None:
    sums = of_means(np.zeros(10), np.ones(10))
    sums[3:] = 0.0
    assert n_second_stage(Units(sums), 0.5) == 20


def test_shares_that_do_not_scatter_take_as_many_units_as_exclude_the_difference() -> None:
    sums = of_means(np.zeros(10), np.zeros(10))
    assert n_second_stage(Units(sums), 0.1, bound=1.0) == 29
    assert 1 - 0.05 ** (1 / 29) <= 0.1 < 1 - 0.05 ** (1 / 28)


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
