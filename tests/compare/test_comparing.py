"""Verdicts on planted truth: arms made by hand with known differences, and with none."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from engine.compare.cases import Case, Question
from engine.compare.comparing import compare
from engine.compare.result import Comparison, Pair, Result
from engine.compare.stages import need
from engine.errors import UsageError
from engine.purity import Leak
from engine.transcript import Origin, StopReason, Turn
from tests.compare.making import FINE, case, failed, fine, transcript, turn

Drawn = np.random.Generator
Made = Callable[[Drawn], Sequence[Turn]]
LEAK = Leak(place="prompt", experiment="architecture", found="heritage", excerpt="the heritage")


def steps(n_turns: int, *, error_share: float = 0.2) -> Made:
    """About so many turns, each with one block of which this share fails."""

    def made(drawn: Drawn) -> Sequence[Turn]:
        n = max(2, n_turns + int(drawn.integers(-1, 2)))
        return [turn(failed() if drawn.random() < error_share else FINE) for _ in range(n)]

    return made


def arm(
    name: str, made: Made, *, seeds: int, phases: Sequence[str] = ("comparison",)
) -> list[Case]:
    drawn = np.random.default_rng(sum(map(ord, name)))
    return [
        case(transcript(made(drawn), arm=name, phase=phase, replicate=replicate))
        for phase in phases
        for replicate in range(seeds)
    ]


def asked(**fields: object) -> Question:
    given = {"arms": ("a", "b"), "phases": ("comparison",), "primary": "error_rate"} | fields
    return msgspec.convert(given, Question)


def main_pair(found: Comparison) -> Pair:
    return found.scopes[0].pairs[0]


def result(found: Comparison, measure: str) -> Result:
    return next(each for each in main_pair(found).results if each.measure == measure)


def test_a_planted_difference_in_turns_is_found() -> None:
    cases = arm("a", steps(5), seeds=10) + arm("b", steps(9), seeds=10)
    found = result(compare(cases, asked()), "turns")
    assert found.verdict == "differ"
    assert found.effect.interval is not None
    assert found.effect.interval.low <= 4 <= found.effect.interval.high


def test_a_planted_difference_in_error_rates_is_the_verdict() -> None:
    cases = arm("a", steps(12, error_share=0.1), seeds=12)
    cases += arm("b", steps(12, error_share=0.5), seeds=12)
    found = compare(cases, asked())
    assert found.verdict == "differ"
    assert found.words.startswith("a and b differ in execution errors per code block:")
    assert main_pair(found).results[0].measure == "error_rate"


def test_arms_without_a_difference_are_tied_given_enough_seeds() -> None:
    cases = arm("a", steps(12), seeds=40) + arm("b", steps(12), seeds=40)
    found = compare(cases, asked())
    assert found.verdict == "tied"
    assert not [each.measure for each in main_pair(found).results if each.verdict == "differ"]


def test_arms_without_a_difference_are_not_called_tied_by_few_seeds() -> None:
    cases = arm("a", steps(12), seeds=8) + arm("b", steps(12), seeds=8)
    found = compare(cases, asked()).scopes[0].pairs[0].results[0]
    assert found.verdict == "not enough runs"
    assert found.n_more is not None
    assert found.n_more > 0


def test_below_six_seeds_nothing_is_said_and_the_missing_ones_are_counted() -> None:
    cases = arm("a", steps(5), seeds=2) + arm("b", steps(30), seeds=2)
    found = result(compare(cases, asked()), "turns")
    assert (found.verdict, found.n_more) == ("not enough runs", 4)
    assert "not enough runs: 4 more seeds (6 in all)" in found.words


def test_branches_of_one_investigation_are_one_observation() -> None:
    trunk = [turn(FINE, failed())] * 4

    def branches(name: str, own: Turn) -> list[Case]:
        found = [transcript([*trunk, own], arm=name, replicate=number) for number in range(8)]
        one = [replace(each, investigation=replace(each.investigation, seed=0)) for each in found]
        return [case(each) for each in one]

    cases = branches("a", turn(FINE)) + branches("b", turn(failed()))
    found = result(compare(cases, asked()), "error_rate")
    assert (found.n_units, found.n_pairs, found.verdict) == (1, 8, "not enough runs")


def seldom_failing(seeds: int, *, n_failing: int, after: Turn) -> Sequence[Sequence[Turn]]:
    failing, faultless = [turn(failed()), after], [turn(FINE), turn(FINE)]
    return [failing if seed < n_failing else faultless for seed in range(seeds)]


def test_seeds_in_which_there_is_nothing_to_divide_by_do_not_count() -> None:
    repaired, not_repaired = turn(FINE), turn(failed("TypeError", "another one"))
    cases = [
        case(transcript(made, arm=name, replicate=seed))
        for name, after in (("a", repaired), ("b", not_repaired))
        for seed, made in enumerate(seldom_failing(10, n_failing=2, after=after))
    ]
    found = result(compare(cases, asked(primary="repair_rate")), "repair_rate")
    assert (found.n_units, found.n_telling, found.p_holm) == (10, 2, None)
    assert "not enough runs: 20 more seeds (30 in all)" in found.words


def test_a_difference_that_is_the_same_in_every_seed_lacks_only_a_few_more() -> None:
    def made(n: int) -> Made:
        return lambda _: [turn(FINE)] * n

    cases = arm("a", made(5), seeds=6) + arm("b", made(15), seeds=6)
    found = result(compare(cases, asked()), "turns")
    assert (found.verdict, found.effect.mde) == ("not enough runs", None)
    assert found.n_more is not None
    enough = 6 + found.n_more
    cases = arm("a", made(5), seeds=enough) + arm("b", made(15), seeds=enough)
    assert result(compare(cases, asked()), "turns").verdict == "differ"


def test_arms_that_never_had_a_turn_part_nowhere() -> None:
    cases = arm("a", lambda _: [], seeds=6) + arm("b", lambda _: [], seeds=6)
    assert main_pair(compare(cases, asked())).separation.turn is None


def test_what_a_twin_lacks_is_said_to_have_no_partner() -> None:
    cases = arm("a", steps(5), seeds=3) + arm("a-again", steps(5), seeds=2)
    found = compare(cases, asked(arms=("a",), twins={"a-again": "a"})).exclusions
    assert [(each.investigation, each.detail) for each in found] == [
        ("a.comparison.2", "not in a-again")
    ]


def test_phases_that_share_beginnings_are_said_to_say_less() -> None:
    cases = arm("a", steps(5), seeds=2, phases=PHASES) + arm("b", steps(5), seeds=2, phases=PHASES)
    origin = Origin(investigation="a.p0.0", run=None, n_turns=1, changes={}, is_exact=True)
    branched = cases[-1]._replace(transcript=replace(cases[-1].transcript, origin=origin))
    question = asked(phases=PHASES)
    assert not any("share their beginnings" in note for note in compare(cases, question).notes)
    notes = compare([*cases[:-1], branched], question).notes
    assert any("share their beginnings" in note for note in notes)


def test_a_difference_smaller_than_what_counts_is_said_to_be() -> None:
    def made(n: int) -> Made:
        return lambda _: [turn(FINE)] * n

    cases = arm("a", made(20), seeds=16) + arm("b", made(21), seeds=16)
    found = result(compare(cases, asked()), "turns")
    assert found.verdict == "differ"
    assert "by less than counts" in found.words


def alike_until(turn_of_parting: int) -> Made:
    """Blocks and errors by chance; from that turn on, the findings are asked for."""

    def made(drawn: Drawn) -> Sequence[Turn]:
        asks = fine("memory.query_observations")
        return [
            turn(asks if place >= turn_of_parting else FINE if drawn.random() < 0.7 else failed())
            for place in range(12)
        ]

    return made


def test_arms_that_part_at_turn_seven_are_seen_to() -> None:
    cases = arm("a", alike_until(99), seeds=10) + arm("b", alike_until(6), seeds=10)
    found = main_pair(compare(cases, asked())).separation
    assert (found.turn, found.interval) == (6, (6, 6))
    assert found.behaviour in {"calls", "uses_memory"}
    assert "They part at turn 7" in found.words


def test_the_example_is_a_pair_in_which_the_arms_part_there() -> None:
    cases = arm("a", alike_until(99), seeds=10) + arm("b", alike_until(6), seeds=10)
    example = main_pair(compare(cases, asked())).separation.example
    assert example is not None
    by_id = {each.measures.investigation: each for each in cases}
    assert not by_id[example.first].turns[6].functions
    assert by_id[example.second].turns[6].functions


def test_arms_that_behave_alike_part_nowhere() -> None:
    cases = arm("a", alike_until(99), seeds=10) + arm("b", alike_until(99), seeds=10)
    assert main_pair(compare(cases, asked())).separation.turn is None


PHASES = tuple(f"p{n}" for n in range(8))


def test_with_several_phases_a_phase_is_one_observation() -> None:
    cases = arm("a", steps(5), seeds=3, phases=PHASES) + arm("b", steps(9), seeds=3, phases=PHASES)
    found = compare(cases, asked(phases=PHASES))
    main = result(found, "turns")
    assert (found.scopes[0].unit, main.n_units, main.n_pairs) == ("phase", 8, 24)
    assert main.verdict == "differ"
    assert [scope.phase for scope in found.scopes] == [None, *PHASES]


def test_three_phases_are_not_enough_however_many_seeds_there_are() -> None:
    cases = arm("a", steps(5), seeds=20, phases=PHASES[:3])
    cases += arm("b", steps(9), seeds=20, phases=PHASES[:3])
    found = compare(cases, asked(phases=PHASES[:3]))
    assert found.verdict == "not enough runs"
    assert "3 more phases" in found.words
    each = {scope.phase: scope.pairs[0].results for scope in found.scopes[1:]}
    assert all(
        next(one for one in results if one.measure == "turns").verdict == "differ"
        for results in each.values()
    )


def test_the_verdict_says_that_it_speaks_of_its_phase_alone() -> None:
    cases = arm("a", steps(5), seeds=6) + arm("b", steps(5), seeds=6)
    assert "This speaks of phase comparison alone" in compare(cases, asked()).words


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (case(transcript([turn(FINE)], stop_reason=StopReason.SERVER_LOST)), "infrastructure"),
        (case(transcript([turn(FINE)], stop_reason=None)), "unfinished"),
        (case(transcript([turn(FINE)]), leaks=[LEAK]), "impure"),
    ],
)
def test_what_is_not_the_models_doing_is_left_out_and_named(spoilt: Case, reason: str) -> None:
    cases = [spoilt, *arm("a", steps(5), seeds=8)[1:], *arm("b", steps(5), seeds=8)]
    found = compare(cases, asked())
    assert [(each.investigation, each.reason) for each in found.exclusions] == [
        ("a.comparison.0", reason),
        ("b.comparison.0", "without a partner"),
    ]
    assert main_pair(found).results[0].n_pairs == 7


def test_an_effect_is_given_with_and_without_failures_of_the_harness() -> None:
    def walled(_: Drawn) -> Sequence[Turn]:
        wall = failed("PermissionError", "[Errno 13] Permission denied: 'notes.txt'")
        return [turn(wall), *[turn(FINE)] * 4]

    cases = arm("a", lambda _: [turn(FINE)] * 5, seeds=8) + arm("b", walled, seeds=8)
    found = compare(cases, asked()).scopes[0].pairs[0].results[0]
    assert found.effect.difference == pytest.approx(0.2)
    assert found.without_harness is not None
    assert found.without_harness.difference == 0
    assert compare(cases, asked()).failures[1].by_cause == {"sandbox wall": 8}


def test_without_such_failures_there_is_one_effect() -> None:
    cases = arm("a", steps(5), seeds=6) + arm("b", steps(5), seeds=6)
    assert result(compare(cases, asked()), "error_rate").without_harness is None


def test_seconds_of_models_that_shared_a_machine_are_shown_and_not_tested() -> None:
    def slow(_: Drawn) -> Sequence[Turn]:
        return [turn(FINE, model_s=50.0)] * 5

    cases = arm("a", steps(5), seeds=16) + arm("b", slow, seeds=16)
    shared = result(compare(cases, asked(is_shared=True)), "tokens_per_s")
    assert (shared.verdict, shared.p_holm, shared.is_shared) == ("not compared", None, True)
    alone = result(compare(cases, asked(is_shared=False)), "tokens_per_s")
    assert alone.verdict == "differ"


def test_other_measures_are_tested_together_and_the_primary_one_by_itself() -> None:
    cases = arm("a", steps(6), seeds=10) + arm("b", steps(7), seeds=10)
    results = main_pair(compare(cases, asked(primary="turns"))).results
    assert results[0].p_holm == results[0].effect.p
    others = [each for each in results[1:] if each.p_holm is not None]
    assert all((each.p_holm or 0) >= (each.effect.p or 0) for each in others)
    assert any((each.p_holm or 0) > (each.effect.p or 0) for each in others)


def test_a_model_beside_itself_shows_what_the_server_scatters() -> None:
    cases = [
        *arm("a", steps(6), seeds=10),
        *arm("b", steps(9), seeds=10),
        *arm("a-again", steps(6), seeds=10),
    ]
    found = compare(cases, asked(twins={"a-again": "a"}))
    turns = result(found, "turns")
    (noise,) = turns.noise
    assert noise.interval is not None
    assert noise.floor == max(abs(noise.interval.low), abs(noise.interval.high))
    assert "a differs from itself by up to" in turns.words
    assert [pair.is_noise for pair in found.scopes[0].pairs] == [False, True]


def test_other_replies_to_the_same_request_are_counted_until_the_first() -> None:
    same = [turn(FINE, text="one"), turn(FINE, text="two"), turn(FINE, text="three")]
    other = [same[0], turn(FINE, text="TWO"), same[2]]
    cases = [
        case(transcript(same, arm="a", replicate=0)),
        case(transcript(same, arm="a", replicate=1)),
        case(transcript(same, arm="a-again", replicate=0)),
        case(transcript(other, arm="a-again", replicate=1)),
    ]
    (found,) = compare(cases, asked(arms=("a",), twins={"a-again": "a"})).replies
    assert (found.n_requests, found.n_other) == (5, 1)


def test_three_models_are_compared_pair_by_pair() -> None:
    cases = [each for name in "abc" for each in arm(name, steps(5), seeds=6)]
    found = compare(cases, asked(arms=("a", "b", "c")))
    pairs = [(pair.first, pair.second) for pair in found.scopes[0].pairs]
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]


def test_one_model_alone_is_described_and_not_compared() -> None:
    found = compare(arm("a", steps(5), seeds=3), asked(arms=("a",)))
    assert found.verdict == "not compared"
    assert found.scopes[0].series


def test_a_run_without_any_investigation_has_a_comparison() -> None:
    found = compare([], asked())
    assert found.verdict == "not enough runs"


def test_turn_by_turn_the_figures_are_about_those_that_came_so_far() -> None:
    def made(drawn: Drawn) -> Sequence[Turn]:
        return [turn(FINE, FINE)] * int(drawn.integers(2, 5))

    cases = arm("a", made, seeds=8)
    found = compare(cases, asked(arms=("a",)))
    blocks = next(each for each in found.scopes[0].series if each.behaviour == "code_blocks")
    assert [point.n for point in blocks.points] == [
        sum(len(each.turns) > place for each in cases) for place in range(len(blocks.points))
    ]
    assert {point.mean for point in blocks.points} == {2.0}


def test_a_first_stage_says_how_many_replicates_there_are_to_be() -> None:
    cases = arm("a", steps(8), seeds=10) + arm("b", steps(8), seeds=10)
    question = asked(primary="turns", n_first=10)
    fine_grained, coarse = (need(cases, question, mde=mde, most=500) for mde in (0.3, 3.0))
    assert fine_grained.replicates > 30
    assert coarse.replicates == 10
    assert need(cases, question, mde=0.3, most=20).replicates == 20


def test_the_number_of_replicates_does_not_depend_on_the_difference() -> None:
    def about(n_turns: int) -> Made:
        return lambda drawn: [turn(FINE)] * (n_turns + int(drawn.integers(-1, 2)))

    first = arm("a", about(8), seeds=10)
    near, far = arm("b", about(8), seeds=10), arm("b", about(16), seeds=10)
    question = asked(primary="turns", n_first=10)
    found = [need(first + second, question, mde=0.5, most=500) for second in (near, far)]
    assert found[0] == found[1]


def test_after_two_stages_the_difference_asked_for_is_what_counts() -> None:
    cases = arm("a", steps(8), seeds=30) + arm("b", steps(8), seeds=30)
    found = result(compare(cases, asked(primary="turns", n_first=10, wanted=1.0)), "turns")
    assert found.margin == 1.0
    assert found.verdict == "tied"


def test_what_first_shows_after_the_first_stage_is_not_taken_for_certain() -> None:
    made = {name: [list(steps(8)(np.random.default_rng(n))) for n in range(40)] for name in "ab"}
    made["b"][30][-1] = turn(fine(code="help(memory)"))
    cases = [
        case(transcript(turns, arm=name, replicate=seed))
        for name, every in made.items()
        for seed, turns in enumerate(every)
    ]
    question = asked(primary="turns", n_first=10, wanted=0.5)
    found = result(compare(cases, question), "help_blocks")
    assert found.verdict != "differ"
    assert found.effect.p == result(compare(cases, asked()), "help_blocks").effect.p


def test_a_first_stage_in_which_few_replicates_say_something_asks_for_more() -> None:
    cases = [
        case(transcript(made, arm=name, replicate=seed))
        for name in "ab"
        for seed, made in enumerate(seldom_failing(10, n_failing=3, after=turn(FINE)))
    ]
    found = need(cases, asked(primary="repair_rate", n_first=10), mde=0.5, most=500)
    assert (found.n_telling, found.replicates) == (3, 20)


def test_a_first_stage_in_which_nothing_was_measured_says_so() -> None:
    cases = arm("a", steps(5), seeds=10) + arm("b", lambda _: [turn()] * 5, seeds=10)
    found = need(cases, asked(n_first=10), mde=0.1, most=500)
    assert (found.n_telling, found.replicates) == (0, 10)


def test_missing_seeds_are_counted_with_those_that_will_say_nothing() -> None:
    cases = [
        case(transcript(made, arm=name, replicate=seed))
        for name in "ab"
        for seed, made in enumerate(seldom_failing(40, n_failing=10, after=turn(FINE)))
    ]
    found = result(compare(cases, asked(primary="repair_rate")), "repair_rate")
    assert (found.n_units, found.n_telling, found.n_more) == (40, 10, 76)
    assert (40 + 76) * 10 / 40 == 29


def test_of_arms_without_a_pair_no_figure_is_given() -> None:
    words = compare([], asked()).words
    assert "6 more seeds (6 in all). No pair of investigations counts." in words
    assert "- points" not in words


def test_a_twin_of_no_arm_is_refused_by_its_name() -> None:
    with pytest.raises(UsageError, match="'a-again' is said to be the twin of 'x'"):
        compare(arm("a", steps(5), seeds=2), asked(arms=("a",), twins={"a-again": "x"}))


def test_a_request_in_a_shared_beginning_is_counted_once() -> None:
    said = [turn(FINE, text=text) for text in ("one", "two", "three")]
    trunks = [transcript(said, arm=name) for name in ("a", "a-again")]
    origin = Origin(investigation="a.p.0", run=None, n_turns=2, changes={}, is_exact=True)
    branches = [
        replace(transcript([*said[:2], own], arm=name, phase="late"), origin=origin)
        for name, own in (("a", said[2]), ("a-again", turn(FINE, text="THREE")))
    ]
    question = asked(arms=("a",), twins={"a-again": "a"}, phases=("comparison", "late"))
    (found,) = compare(list(map(case, (*trunks, *branches))), question).replies
    assert (found.n_requests, found.n_other) == (4, 1)


def test_branches_of_beginnings_that_have_parted_have_no_request_in_common() -> None:
    origin = Origin(investigation="a.p.0", run=None, n_turns=2, changes={}, is_exact=True)
    branches = [
        replace(transcript([turn(FINE, text=text)] * 3, arm=name), origin=origin)
        for name, text in (("a", "one"), ("a-again", "ONE"))
    ]
    question = asked(arms=("a",), twins={"a-again": "a"})
    (found,) = compare(list(map(case, branches)), question).replies
    assert (found.n_requests, found.n_other) == (0, 0)


def test_a_measure_that_one_arm_gives_no_occasion_for_is_said_to_be_unobserved() -> None:
    cases = arm("a", steps(5, error_share=0.0), seeds=6) + arm("b", steps(9), seeds=6)
    found = result(compare(cases, asked()), "repair_rate")
    assert found.verdict == "not measured"
    assert found.words == "errors repaired by the next block: not observed in a."


def test_intervals_of_shares_end_where_shares_do() -> None:
    cases = arm("a", steps(2), seeds=3) + arm("b", steps(2), seeds=3)
    for each in main_pair(compare(cases, asked())).results:
        if each.is_share and each.effect.interval:
            assert -1 <= each.effect.interval.low <= each.effect.interval.high <= 1
        for side in (each.first, each.second):
            if each.is_share and side.interval:
                assert 0 <= side.interval.low <= side.interval.high <= 1
