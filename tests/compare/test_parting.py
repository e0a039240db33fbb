"""Where arms part, in simulated studies with fixed seeds: how often that is said wrongly."""

from itertools import combinations

import numpy as np
import pytest

from engine.compare.cases import Sides
from engine.compare.comparing import compare
from engine.compare.estimate import Array
from engine.compare.separation import FEATURES, Parting, parting_of, separation_of
from tests.compare.making import FINE, case, fine, transcript, turn
from tests.compare.test_comparing import asked


def always_apart(drawn: np.random.Generator, *, units: int, turns: int, gap: float) -> Array:
    """Differences in calls of arms that differ from the first turn on, by this much in each.

    Shape (units, turns, features).
    """
    found = np.zeros((units, turns, len(FEATURES)))
    first, second = (drawn.poisson(mean, size=(units, turns)) for mean in (1.0, 1.0 + gap))
    found[..., 3] = second - first
    for feature in (1, 5, 7, 8, 9):
        values = drawn.binomial(1, 0.5, size=(2, units, turns))
        found[..., feature] = values[1] - values[0]
    return found


@pytest.mark.parametrize(("units", "turns", "seed"), [(10, 12, 1), (20, 20, 2)])
def test_arms_that_differ_from_the_first_turn_on_are_not_said_to_part_later(
    units: int, turns: int, seed: int
) -> None:
    drawn = np.random.default_rng(seed)
    studies = [always_apart(drawn, units=units, turns=turns, gap=1.0) for _ in range(150)]
    found = [each for each in map(parting_of, studies) if each is not None]
    assert len(found) > 30
    assert sum(each.earliest == 0 for each in found) >= 0.95 * len(found)


def test_a_clear_step_is_found_at_its_turn() -> None:
    drawn, found = np.random.default_rng(3), list[Parting | None]()
    for _ in range(50):
        differences = np.zeros((20, 12, len(FEATURES)))
        differences[..., 4] = drawn.normal(0, 70, size=(20, 12))
        differences[:, 6:, 4] += 150
        found.append(parting_of(differences))
    assert sum(each is not None and (each.earliest, each.turn) == (6, 6) for each in found) >= 45


def lives(drawn: np.random.Generator) -> Array:
    """One arm of ten units that go on for three to eight turns; shape (units, turns, features)."""
    found = np.zeros((10, 8, len(FEATURES)))
    is_there = np.arange(8) < drawn.integers(3, 9, size=(10, 1))
    found[..., 0] = is_there
    found[..., 1] = is_there * drawn.binomial(2, 0.6, size=(10, 8))
    found[..., 3] = is_there * drawn.poisson(1.5, size=(10, 8))
    found[..., 4] = is_there * drawn.gamma(2, 100, size=(10, 8))
    return found


def test_some_of_four_arms_that_are_alike_are_said_to_part_in_5_of_100_studies_at_most() -> None:
    drawn, n_wrong, n_studies = np.random.default_rng(4), 0, 150
    for _ in range(n_studies):
        pairs = combinations([lives(drawn) for _ in range(4)], 2)
        n_wrong += any(parting_of(b - a, n_pairs=6) is not None for a, b in pairs)
    assert n_wrong / n_studies <= 0.075


def sides_of(n_units: int) -> Sides:
    """Arms of which one asks for findings from its first turn on."""
    made = {"a": [turn(FINE)] * 4, "b": [turn(fine("memory.query_observations"))] * 4}
    first, second = (
        tuple((case(transcript(turns, arm=arm, replicate=seed)),) for seed in range(n_units))
        for arm, turns in made.items()
    )
    return Sides(("a", "b"), first, second)


@pytest.mark.parametrize(("n_units", "turn_of_parting"), [(6, None), (7, 0)])
def test_three_pairs_take_a_seed_more_than_one(n_units: int, turn_of_parting: int | None) -> None:
    assert separation_of(sides_of(n_units)).turn == 0
    found = separation_of(sides_of(n_units), n_pairs=3)
    assert found.turn == turn_of_parting
    assert found.turn is not None or "fewer than 7 units" in found.words


def test_what_parts_two_of_three_arms_is_adjusted_for_all_three_pairs() -> None:
    cases = [
        case(transcript(made, arm=name, replicate=seed))
        for name, made in (
            ("a", [turn(FINE)] * 4),
            ("b", [turn(FINE)] * 4),
            ("c", [turn(fine("memory.query_observations"))] * 4),
        )
        for seed in range(8)
    ]
    without_b = [each for each in cases if each.arm != "b"]
    two = compare(without_b, asked(arms=("a", "c"))).scopes[0].pairs[0].separation
    three = compare(cases, asked(arms=("a", "b", "c"))).scopes[0].pairs[1].separation
    assert (two.p, three.p) == (2 / 2**8, 3 * 2 / 2**8)
