"""What phases have in common, and what a branch inherits."""

from collections.abc import Sequence

import msgspec
import pytest

from engine.branch import branches_of, happenings, n_shared, parse_place, until
from engine.errors import UsageError
from engine.events import (
    AnyEvent,
    CompletionReceived,
    ExperimentEnded,
    ExperimentStarted,
    Fork,
    InvestigationEnded,
    InvestigationResumed,
    InvestigationStarted,
    TurnEnded,
)
from engine.fold import transcripts
from engine.phase import Sampling
from engine.runner import plan
from engine.standing import Standing
from engine.transcript import Completion, Message, StopReason, Usage
from phases.load import get_phase, get_phases

CASE = "a.1a.0"
START = InvestigationStarted(time=0, investigation=CASE, model="a", phase="1a", replicate=0, seed=1)


def turn(number: int) -> tuple[CompletionReceived, TurnEnded]:
    completion = Completion(text="", finish_reason="stop", usage=Usage(), sent=0, received=1)
    return (
        CompletionReceived(
            time=1,
            investigation=CASE,
            experiment="one",
            turn=number,
            seed=number,
            completion=completion,
        ),
        TurnEnded(
            time=1,
            investigation=CASE,
            turn=number,
            action="nothing",
            executions=(),
            observation=None,
        ),
    )


def opened(name: str) -> ExperimentStarted:
    prompt = (Message("user", f"Do {name}."),)
    return ExperimentStarted(time=0, investigation=CASE, experiment=name, messages=prompt)


def closed(name: str) -> ExperimentEnded:
    return ExperimentEnded(
        time=1, investigation=CASE, experiment=name, stop_reason=StopReason.COMPLETED
    )


BRANCH = "a.1d.0"


def begun_with(history: Sequence[AnyEvent]) -> InvestigationStarted:
    """A branch of an investigation that came as far as `history`."""
    return InvestigationStarted(
        time=5,
        investigation=BRANCH,
        model="a",
        phase="1d",
        replicate=0,
        seed=1,
        fork=Fork(investigation=CASE, events=happenings(history)),
    )


END = InvestigationEnded(time=2, investigation=CASE, stop_reason=StopReason.COMPLETED)
WHOLE = (opened("one"), *turn(0), *turn(1), closed("one"), opened("two"), *turn(2), closed("two"))


@pytest.mark.parametrize(
    ("one", "other", "n_experiments"),
    [
        ("1a", "1c", 2),
        ("1a", "1d", 3),
        ("1c", "1d", 2),
        ("1a", "1b", 0),
        ("1b", "1e", 0),
        ("1a", "1a-research", 0),
        ("1a", "comparison", 0),
    ],
)
def test_phases_share_what_neither_can_tell_apart(one: str, other: str, n_experiments: int) -> None:
    assert n_shared(get_phase(one), get_phase(other)) == n_experiments
    assert n_shared(get_phase(other), get_phase(one)) == n_experiments


def test_phases_on_different_ground_share_nothing() -> None:
    phase = get_phase("1a")
    warm = phase.model_copy(update={"sampling": Sampling(temperature=0.1)})
    assert n_shared(phase, warm) == 0


def test_each_investigation_branches_off_as_late_as_it_can() -> None:
    phases = {phase.key: phase for phase in get_phases(("1a", "1c", "1d"))}
    cases = plan(models=["a", "b"], phases=list(phases), replicates=2, seed=1)
    found = branches_of(cases, phases)
    assert found["a.1c.0"] == ("a.1a.0", 2)
    assert found["b.1d.1"] == ("b.1a.1", 3)
    assert not {"a.1a.0", "b.1a.1"} & found.keys()


RESUMED = InvestigationResumed(time=86_400, investigation=CASE, is_exact=False)


def test_a_branch_inherits_what_happened_and_not_when_it_was_begun_or_ended() -> None:
    assert happenings([START, *WHOLE, END]) == WHOLE


def test_a_branch_is_not_charged_for_an_interruption_of_its_trunk() -> None:
    (received, ended), trunk, branch = turn(0), Standing(), Standing()
    late = msgspec.structs.replace(ended, time=RESUMED.time + 2)
    history = [START, opened("one"), received, RESUMED, late, closed("one")]
    for event in history:
        trunk.take(event)
    branch.take(begun_with(history))
    assert branch.ledger == trunk.ledger
    assert branch.ledger.seconds == 3


def test_how_the_trunk_came_back_is_not_how_the_branch_did() -> None:
    history = [START, *WHOLE[:4], RESUMED, *WHOLE[4:6]]
    (waiting,) = transcripts([begun_with(history)])
    came_back = InvestigationResumed(time=90_000, investigation=BRANCH, is_exact=True)
    (going,) = transcripts([begun_with(history), came_back])
    assert waiting.origin
    assert going.origin
    assert (waiting.origin.is_exact, going.origin.is_exact) == (None, True)
    assert not going.revivals


def test_the_branch_of_a_branch_inherits_from_both() -> None:
    assert happenings([begun_with(WHOLE[:6]), *WHOLE[6:]]) == WHOLE


def test_a_place_is_before_an_experiment_or_after_turns() -> None:
    assert until(WHOLE, "two") == WHOLE[:6]
    assert until(WHOLE, 1) == WHOLE[:3]
    assert until(WHOLE, 3) == WHOLE[:9]
    assert until(WHOLE, 4) is None
    assert until(WHOLE[:6], "two") is None


def test_a_place_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"'revisio'.*architecture.*revision.*number of turns"):
        parse_place("revisio", [get_phase("1d")])
    with pytest.raises(UsageError):
        parse_place("0", [get_phase("1d")])


def test_a_number_that_no_investigation_can_come_to_is_no_place() -> None:
    with pytest.raises(UsageError, match="nor a number of turns") as refused:
        parse_place("9" * 5000, [get_phase("1d")])
    assert len(str(refused.value)) < 300
