"""The sentences at the top of a comparison, and how its figures are said to be read."""

from engine.compare.comparing import compare
from engine.transcript import StopReason
from tests.compare.making import FINE, case, failed, transcript, turn
from tests.compare.test_comparing import arm, asked, steps


def test_other_differences_are_no_addition_where_the_primary_one_is_not_found() -> None:
    cases = arm("a", steps(5), seeds=10) + arm("b", steps(25), seeds=10)
    words = compare(cases, asked()).words
    assert "a and b differ in other measures: turns" in words
    assert "also" not in words


def test_other_differences_are_an_addition_to_that_of_the_primary_measure() -> None:
    cases = arm("a", steps(5), seeds=10) + arm("b", steps(25), seeds=10)
    words = compare(cases, asked(primary="turns")).words
    assert words.startswith("a and b differ in turns:")
    assert "They also differ in code blocks executed" in words


def test_seeds_of_which_some_are_left_out_are_not_added_up() -> None:
    lost = case(transcript([turn(FINE)], stop_reason=StopReason.SERVER_LOST))
    cases = [lost, *arm("a", steps(5), seeds=4)[1:], *arm("b", steps(5), seeds=4)]
    words = compare(cases, asked()).words
    assert "not enough runs: 3 more seeds: " in words


def test_looking_again_is_said_to_make_p_too_small_where_the_number_was_not_settled() -> None:
    cases = arm("a", steps(5), seeds=10) + arm("b", steps(5), seeds=10)
    looking_again = "p is then too small"
    assert any(looking_again in note for note in compare(cases, asked()).notes)
    settled = compare(cases, asked(n_first=10, wanted=0.1))
    assert not any(looking_again in note for note in settled.notes)


def test_a_share_scatters_as_much_by_itself_as_its_twin_shows() -> None:
    cases = [
        case(transcript([turn(FINE)] * 5, arm=name, replicate=seed))
        for name in ("a", "a-again")
        for seed in range(6)
    ]
    cases += arm("b", steps(5), seeds=6)
    real, noise = compare(cases, asked(twins={"a-again": "a"})).scopes[0].pairs
    (floor,) = real.results[0].noise
    assert floor.interval == noise.results[0].effect.interval
    assert "a differs from itself by up to 39 points" in real.words


def test_a_share_differs_from_itself_by_no_more_than_all_of_it() -> None:
    n_failed = {"a": (0, 4), "a-again": (4, 1), "b": (2, 3)}
    cases = [
        case(transcript([turn(failed())] * n + [turn(FINE)] * (5 - n), arm=name, replicate=seed))
        for name, each in n_failed.items()
        for seed, n in enumerate(each)
    ]
    real, _ = compare(cases, asked(twins={"a-again": "a"})).scopes[0].pairs
    assert [floor.floor for floor in real.results[0].noise] == [1.0]
