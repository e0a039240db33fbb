"""How far a run is, from its events alone."""

import pytest

from engine.cli import figures
from engine.cli.duration import span
from engine.cli.progress import Progress
from engine.events import (
    CompletionReceived,
    Event,
    ExperimentStarted,
    InvestigationEnded,
    InvestigationStarted,
    LoadSeen,
    RequestRepeated,
    TurnEnded,
)
from engine.runner import plan
from engine.transcript import Completion, Execution, ExecutionError, StopReason, Usage
from phases.load import get_phase

PHASE = get_phase("comparison")
CASES = plan(models=["a", "b"], phases=["comparison"], replicates=2, seed=1)
CASE = "a.comparison.0"


def make_progress() -> Progress:
    return Progress(CASES, 100.0, [PHASE])


def begun(case: str, time: float = 100.0) -> list[Event]:
    start = InvestigationStarted(
        time=time, investigation=case, model=case[0], phase="comparison", replicate=0, seed=1
    )
    name = PHASE.experiments[0].name
    return [
        start,
        ExperimentStarted(time=time, investigation=case, experiment=name, messages=()),
    ]


def turn(case: str, time: float, *, tokens: int = 30, error: str | None = None) -> list[Event]:
    usage = Usage(prompt_tokens=100, completion_tokens=tokens, cached_tokens=80)
    completion = Completion(text="", finish_reason="stop", usage=usage, sent=time, received=time)
    execution = Execution(code="", output="", error=ExecutionError(error, error) if error else None)
    return [
        CompletionReceived(
            time=time, investigation=case, experiment="x", turn=0, seed=1, completion=completion
        ),
        TurnEnded(
            time=time,
            investigation=case,
            turn=0,
            action="run_code",
            executions=(execution,),
            observation="",
        ),
    ]


def ended(case: str, time: float, reason: StopReason = StopReason.COMPLETED) -> Event:
    return InvestigationEnded(time=time, investigation=case, stop_reason=reason)


def take(progress: Progress, *events: Event) -> None:
    for event in events:
        progress.take(event)


def a_load(**fields: float | None) -> LoadSeen:
    given = {"n_in_flight": 3, "n_held": 7} | fields
    return LoadSeen(time=101.0, model="a", url="http://x/v1", **given)  # pyright: ignore[reportArgumentType]


def test_turns_blocks_errors_and_ends_are_counted_by_model() -> None:
    progress = make_progress()
    take(progress, *begun(CASE), *turn(CASE, 101), *turn(CASE, 102, error="NameError"))
    take(progress, ended(CASE, 103))
    tally = progress.tallies["a"]
    assert (tally.turns, tally.blocks, tally.errors) == (2, 2, 1)
    assert figures.ends(tally) == "1 completed"
    assert not tally.courses
    assert progress.tallies["b"].turns == 0
    assert progress.n_ended == 1


def test_a_running_investigation_shows_its_turn_and_the_most_it_can_have() -> None:
    progress = make_progress()
    take(progress, *begun(CASE), *turn(CASE, 101))
    course = progress.tallies["a"].courses[CASE]
    assert progress.turn_of(course) == f"2/{PHASE.experiments[0].max_turns}"
    assert (course.tokens, course.doing, course.since) == (30, "asks", 101)


def test_rates_are_those_of_the_last_seconds() -> None:
    progress = make_progress()
    take(progress, *begun(CASE), *turn(CASE, 100, tokens=9_000), *turn(CASE, 159, tokens=300))
    rate = progress.tallies["a"].token_rate
    assert rate.per_s(160.0) == pytest.approx(10.0)
    assert rate.per_s(500.0) == 0.0


def test_a_model_that_is_done_has_no_rate_and_no_time_left() -> None:
    progress = make_progress()
    take(progress, *begun(CASE), *turn(CASE, 101), ended(CASE, 102))
    tally = progress.tallies["a"]
    assert figures.tokens_per_s(tally, 103.0)
    take(progress, ended("a.comparison.1", 103))
    assert figures.tokens_per_s(tally, 104.0) == ""
    assert figures.left(progress, "a", 104.0) == ""


def test_the_time_left_follows_from_the_turns_of_those_that_ended() -> None:
    progress = make_progress()
    assert progress.left_s("a", 101.0) is None, "nothing is known yet"
    take(progress, *begun(CASE), *turn(CASE, 105), *turn(CASE, 110), ended(CASE, 110))
    assert progress.left_s("a", 110.0) == pytest.approx(2 / 0.2), "two turns at one in five seconds"
    take(progress, ended("a.comparison.1", 111))
    assert progress.left_s("a", 111.0) == 0.0


def test_while_none_has_ended_as_many_turns_are_expected_as_there_can_be() -> None:
    progress = make_progress()
    take(progress, *begun(CASE), *turn(CASE, 110))
    most = 2 * PHASE.experiments[0].max_turns
    assert progress.left_s("a", 110.0) == pytest.approx((most - 1) / 0.1)


def test_what_was_recorded_before_counts_as_turns_and_not_as_speed() -> None:
    progress = make_progress()
    before = [*begun(CASE, 10.0), *turn(CASE, 11.0), ended(CASE, 12.0, StopReason.SERVER_LOST)]
    progress.recall({CASE: before})  # pyright: ignore[reportArgumentType]
    tally = progress.tallies["a"]
    assert tally.courses[CASE].turns == tally.turns == 1
    assert tally.turn_rate.per_s(101.0) == 0.0
    assert tally.ended.total() == 0


def test_the_load_of_servers_is_shown_as_far_as_they_tell() -> None:
    progress = make_progress()
    tally = progress.tallies["a"]
    assert figures.requests(tally) == figures.kv_use(tally) == ""
    take(progress, a_load())
    assert figures.requests(tally) == "3+0+7", "only what was sent is known"
    take(progress, a_load(n_running=32, n_waiting=4, kv_share=0.61, prefix_share=0.9))
    assert figures.requests(tally) == "32+4+7"
    assert (figures.kv_use(tally), figures.cached(tally)) == ("61%", "90%")


def test_the_load_of_an_arm_that_has_nothing_to_do_is_passed_over() -> None:
    progress = Progress([case for case in CASES if case.model == "b"], 100.0, [PHASE])
    take(progress, a_load())
    assert list(progress.tallies) == ["b"]


def test_requests_that_are_sent_again_are_counted_with_the_last_reason() -> None:
    progress = make_progress()
    again = RequestRepeated(time=101.0, investigation=CASE, detail="HTTP 503", wait_s=2.0)
    take(progress, *begun(CASE), again, again)
    tally = progress.tallies["a"]
    assert (tally.repeated, tally.trouble) == (2, "HTTP 503")
    assert tally.courses[CASE].doing == "asks again"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (42, "42 s"), (59.9, "60 s"), (420, "7 min"), (11_100, "3 h 05")],
)
def test_spans_of_time_are_said_as_a_person_would(seconds: float, words: str) -> None:
    assert span(seconds) == words
