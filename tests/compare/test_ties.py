"""What is called tied, and what so few observations cannot tell: arms that hardly scatter."""

from collections.abc import Sequence

from engine.compare.comparing import compare
from engine.compare.estimate import LEAST_UNITS
from engine.compare.result import Result
from engine.transcript import Turn
from tests.compare.making import FINE, case, failed, transcript, turn
from tests.compare.test_comparing import asked, result


def of_alike(turns: Sequence[Turn], *, seeds: int, measure: str) -> Result:
    """Two arms, all investigations of which are the same."""
    cases = [
        case(transcript(turns, arm=name, replicate=seed)) for name in "ab" for seed in range(seeds)
    ]
    return result(compare(cases, asked(primary=measure)), measure)


def test_counts_that_are_zero_in_all_seeds_are_not_called_tied() -> None:
    for seeds in (LEAST_UNITS, 40):
        found = of_alike([turn(FINE)] * 5, seeds=seeds, measure="execution_errors")
        assert (found.verdict, found.n_more) == ("not enough runs", None)
        assert "not enough runs: 0 (a) against 0 (b)" in found.words


def test_counts_that_are_the_same_in_few_seeds_are_not_called_tied() -> None:
    found = of_alike([turn(FINE)] * 5, seeds=LEAST_UNITS, measure="turns")
    assert (found.verdict, found.n_more) == ("not enough runs", 8)


def test_counts_that_are_the_same_in_so_many_seeds_that_one_in_five_would_show_are_tied() -> None:
    assert 0.8**14 < 0.05 < 0.8**13
    assert of_alike([turn(FINE)] * 5, seeds=13, measure="turns").verdict == "not enough runs"
    assert of_alike([turn(FINE)] * 5, seeds=14, measure="turns").verdict == "tied"


def test_what_is_seen_only_in_some_seeds_of_one_arm_is_never_called_tied_by_the_others() -> None:
    seldom = [[turn(failed())] * 3 if seed == 30 else [turn(FINE)] * 5 for seed in range(40)]
    for seeds in (6, 10, 30):
        cases = [
            case(transcript(turns, arm=name, replicate=seed))
            for name, every in (("a", [[turn(FINE)] * 5] * seeds), ("b", seldom[:seeds]))
            for seed, turns in enumerate(every)
        ]
        found = result(compare(cases, asked(primary="execution_errors")), "execution_errors")
        assert found.verdict == "not enough runs"


def test_shares_that_do_not_scatter_have_no_smallest_difference_that_would_be_found() -> None:
    found = of_alike([turn(FINE)] * 5, seeds=LEAST_UNITS, measure="error_rate")
    assert found.effect.mde is None
    assert (found.verdict, found.n_more) == ("not enough runs", 23)
