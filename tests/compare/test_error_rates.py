"""Simulated studies with fixed seeds: how often verdicts and intervals are wrong."""

import math

import numpy as np
import pytest

from engine.compare.estimate import LEAST_UNITS, Array, Units, estimate
from engine.compare.power import n_second_stage
from engine.compare.separation import FEATURES, parting_of
from engine.compare.significance import effect_of, holm
from engine.compare.student import quantile

N_STUDIES = 500


def counts_of_clusters(
    drawn: np.random.Generator, *, phases: int, seeds: int, difference: float
) -> Array:
    """Turn counts of two arms; half of the variance of a difference is between phases.

    Shape (studies, phases, seeds, arms).
    """
    phase = drawn.normal(scale=1.5, size=(N_STUDIES, phases, 1, 2))
    difficulty = drawn.normal(scale=2.0, size=(N_STUDIES, phases, 1, 1))
    mean = 10 + difficulty + phase + np.array([0, difference])
    return np.maximum(0, np.round(drawn.normal(mean, 1.5, size=(N_STUDIES, phases, seeds, 2))))


def by_phase(counts: Array) -> Array:
    means = counts.mean(axis=2)
    return np.stack(
        [means[..., 0], np.ones(means.shape[:2]), means[..., 1], np.ones(means.shape[:2])], -1
    )


def shares(sums: Array, truth: float, n_first: int | None = None) -> tuple[float, float]:
    """Return how often zero is rejected, and how often the interval holds the truth."""
    found = estimate(Units(sums, n_first))
    limit = quantile(0.975, found.df)
    rejected = np.abs(found.value) > limit * found.error
    covered = np.abs(found.value - truth) <= limit * found.error
    return float(rejected.mean()), float(covered.mean())


@pytest.mark.parametrize(("phases", "seed"), [(6, 1), (8, 2), (20, 3)])
def test_clustered_studies_without_a_difference_are_called_different_in_5_of_100(
    phases: int, seed: int
) -> None:
    counts = counts_of_clusters(np.random.default_rng(seed), phases=phases, seeds=10, difference=0)
    rejected, covered = shares(by_phase(counts), 0.0)
    assert 0.03 <= rejected <= 0.07
    assert 0.93 <= covered <= 0.97


def test_intervals_hold_the_truth_where_there_is_a_difference() -> None:
    counts = counts_of_clusters(np.random.default_rng(4), phases=8, seeds=5, difference=2)
    rejected, covered = shares(by_phase(counts), 2.0)
    assert 0.93 <= covered <= 0.97
    assert rejected > 0.5


def test_seeds_taken_for_independent_would_be_called_different_far_too_often() -> None:
    counts = counts_of_clusters(np.random.default_rng(5), phases=5, seeds=10, difference=0)
    flat = counts.reshape(N_STUDIES, 50, 2)
    ones = np.ones((N_STUDIES, 50))
    rejected, _ = shares(np.stack([flat[..., 0], ones, flat[..., 1], ones], -1), 0.0)
    assert rejected > 0.3


@pytest.mark.parametrize(("units", "seed"), [(6, 5), (8, 6), (12, 7), (20, 8)])
def test_error_rates_within_one_phase_keep_their_error_rate(units: int, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    blocks = drawn.integers(8, 25, size=(5_000, units, 2))
    chance = drawn.beta(4, 8, size=(5_000, units, 2))
    errors = drawn.binomial(blocks, chance)
    sums = np.stack([errors[..., 0], blocks[..., 0], errors[..., 1], blocks[..., 1]], -1)
    rejected, covered = shares(sums.astype(float), 0.0)
    assert 0.03 <= rejected <= 0.07
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize(("units", "share", "seed"), [(8, 0.3, 13), (10, 0.2, 14), (20, 0.3, 15)])
def test_measures_that_few_seeds_say_something_about_keep_their_error_rate(
    units: int, share: float, seed: int
) -> None:
    drawn = np.random.default_rng(seed)
    occasions = drawn.binomial(1, share, size=(2_000, units, 2))
    taken = drawn.binomial(occasions, 0.5)
    sums = np.stack([taken[..., 0], occasions[..., 0], taken[..., 1], occasions[..., 1]], -1)
    found = [estimate(Units(each)) for each in sums.astype(float)]
    tested = [each for each in found if each.n_units >= LEAST_UNITS]
    assert sum((effect_of(each).p or 0) < 0.05 for each in tested) <= 0.06 * len(found)


@pytest.mark.parametrize(
    ("units", "often", "seldom", "share", "seed"),
    [(20, 0.3, 0.03, 0.8, 16), (40, 0.3, 0.02, 0.9, 17), (100, 0.3, 0.01, 0.9, 18)],
)
def test_shares_that_one_arm_has_few_occasions_for_keep_their_error_rate(
    units: int, often: float, seldom: float, share: float, seed: int
) -> None:
    drawn = np.random.default_rng(seed)
    failed = drawn.binomial(12, [often, seldom], size=(1_000, units, 2))
    repaired = drawn.binomial(failed, share)
    sums = np.stack([repaired[..., 0], failed[..., 0], repaired[..., 1], failed[..., 1]], -1)
    found = [estimate(Units(each)) for each in sums.astype(float)]
    tested = [each for each in found if each.n_units >= LEAST_UNITS]
    rejected = sum((effect_of(each, bound=1.0).p or 0) < 0.05 for each in tested)
    assert rejected <= 0.06 * len(tested)


def rates_with_stuck_ones(drawn: np.random.Generator, *, units: int) -> Array:
    """Sums of two equal arms: a quarter of the investigations errs again and again, and goes on."""
    is_stuck = drawn.random((units, 2)) < 0.25
    n_long, n_short = drawn.integers(20, 46, (units, 2)), drawn.integers(3, 8, (units, 2))
    blocks = np.where(is_stuck, n_long, n_short)
    errors = drawn.binomial(blocks, np.where(is_stuck, 0.85, 0.1))
    return np.stack([errors, blocks], axis=-1).reshape(units, 4).astype(float)


@pytest.mark.parametrize(("units", "seed"), [(6, 20), (8, 21), (10, 22), (20, 23)])
def test_rates_of_arms_in_which_some_get_stuck_keep_their_error_rate(units: int, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    studies = [rates_with_stuck_ones(drawn, units=units) for _ in range(N_STUDIES)]
    ps = np.array([effect_of(estimate(Units(each)), bound=1.0).p for each in studies], float)
    assert (ps < 0.05).mean() <= 0.05
    assert (ps < 0.05 / 20).mean() <= 0.015


def test_a_clear_difference_of_rates_is_found_beside_many_other_measures() -> None:
    drawn, n_found = np.random.default_rng(24), 0
    for _ in range(N_STUDIES):
        blocks = drawn.integers(8, 25, (8, 2))
        errors = drawn.binomial(blocks, np.stack([drawn.beta(3, 30, 8), drawn.beta(20, 6, 8)], -1))
        sums = np.stack([errors, blocks], axis=-1).reshape(8, 4).astype(float)
        n_found += (effect_of(estimate(Units(sums)), bound=1.0).p or 0.0) < 0.05 / 20
    assert n_found / N_STUDIES > 0.95


def means(drawn: np.random.Generator, difference: float, spread: float, n: int) -> Array:
    """Sums of two arms whose differences within units have this mean and spread."""
    first, second = drawn.normal([[0], [difference]], spread / math.sqrt(2), size=(2, n))
    ones = np.ones(n)
    return np.stack([first, ones, second, ones], -1)


def two_stages(
    drawn: np.random.Generator, difference: float, wanted: float, *, decides: bool = True
) -> tuple[float, float]:
    """Return how often zero is rejected and how often the interval holds the truth.

    `decides`: that is looked at in the measure that decided; else in one that scatters with it.
    """
    n_first, rejected, covered, n_studies = 10, 0, 0, 2_000
    for _ in range(n_studies):
        spread = drawn.uniform(0.5, 2.0)
        sums = means(drawn, difference, spread, n_first)
        n_all = n_second_stage(Units(sums), wanted)
        sums = np.concatenate([sums, means(drawn, difference, spread, n_all - n_first)])
        found = estimate(Units(sums, n_first if decides else None))
        half = quantile(0.975, found.df) * found.error
        rejected += bool(abs(found.value) > half)
        covered += bool(abs(found.value - difference) <= half)
    return rejected / n_studies, covered / n_studies


def test_a_number_of_seeds_that_follows_from_the_first_ones_keeps_the_error_rate() -> None:
    rejected, covered = two_stages(np.random.default_rng(9), 0.0, wanted=0.5)
    assert 0.04 <= rejected <= 0.06
    assert 0.94 <= covered <= 0.96


def test_it_finds_the_difference_asked_for_in_80_of_100_studies() -> None:
    rejected, covered = two_stages(np.random.default_rng(10), 0.5, wanted=0.5)
    assert rejected >= 0.79
    assert 0.94 <= covered <= 0.96


def test_it_finds_it_in_each_of_several_pairs_of_arms_that_are_tested_together() -> None:
    drawn, wanted, n_found, n_studies = np.random.default_rng(25), 0.8, 0, 400
    for _ in range(n_studies):
        first = [means(drawn, difference, 1.0, 10) for difference in (wanted, 0.0, 0.0)]
        n_all = max(n_second_stage(Units(each), wanted, n_tests=3) for each in first)
        more = [means(drawn, difference, 1.0, n_all - 10) for difference in (wanted, 0.0, 0.0)]
        every = [Units(np.concatenate(both), 10) for both in zip(first, more, strict=True)]
        n_found += holm([effect_of(estimate(each)).p or 0.0 for each in every])[0] < 0.05
    assert n_found / n_studies >= 0.8


def test_a_measure_that_scatters_with_the_one_that_decided_hardly_loses_its_error_rate() -> None:
    rejected, covered = two_stages(np.random.default_rng(19), 0.0, wanted=0.7, decides=False)
    assert 0.04 <= rejected <= 0.07
    assert 0.93 <= covered <= 0.96


def behaviours(
    drawn: np.random.Generator, *, units: int, turns: int, parts_at: int | None
) -> Array:
    """Differences in counts of blocks, errors and tokens; shape (units, turns, features)."""
    found = np.zeros((units, turns, len(FEATURES)))
    arms = drawn.binomial(1, 0.7, size=(2, units, turns))
    found[..., 1] = arms[1] - arms[0]
    errors = drawn.binomial(1, 0.3, size=(2, units, turns))
    found[..., 2] = errors[1] - errors[0]
    found[..., 4] = drawn.normal(scale=50, size=(units, turns))
    if parts_at is not None:
        found[:, parts_at:, 4] += 150
    return found


def test_a_separation_is_found_where_there_is_none_in_5_of_100_studies_at_most() -> None:
    drawn = np.random.default_rng(11)
    found = [parting_of(behaviours(drawn, units=10, turns=12, parts_at=None)) for _ in range(200)]
    assert sum(each is not None for each in found) / len(found) <= 0.075


def test_the_interval_holds_the_turn_at_which_arms_part() -> None:
    drawn, n_found, n_held, n_studies = np.random.default_rng(12), 0, 0, 100
    for _ in range(n_studies):
        found = parting_of(behaviours(drawn, units=10, turns=12, parts_at=6))
        n_found += found is not None
        n_held += found is not None and found.earliest <= 6 <= found.turn
    assert n_found / n_studies > 0.95
    assert n_held / n_studies >= 0.93
