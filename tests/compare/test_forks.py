"""What a fork of a recorded run counts: its own turns, and none of the run that was forked."""

import pytest
from msgspec.structs import replace

from engine.compare.cases import Question
from engine.compare.comparing import compare
from engine.compare.measures import Measures, measure
from engine.compare.result import Comparison
from engine.transcript import Origin, RequirementCheck, StopReason, Transcript
from tests.compare.making import FINE, case, failed, fine, transcript, turn

BEFORE = [turn(failed(), experiment="one"), turn(fine("memory.record_observation", code="help(1)"))]
OWN = [turn(FINE), turn(failed(), finish_reason="length"), turn(FINE)]


def branched(run: str | None) -> Transcript:
    """An investigation that has its first two turns from another one."""
    origin = Origin(investigation="o", run=run, n_turns=2, changes={}, is_exact=True)
    return replace(transcript([*BEFORE, *OWN]), origin=origin)


def described(run: str | None) -> Comparison:
    question = Question(arms=("a",), phases=("comparison",), primary="error_rate")
    return compare([case(branched(run))], question)


@pytest.mark.parametrize(
    ("field", "own", "every"),
    [
        ("turns", 3, 5),
        ("code_blocks_executed", 3, 5),
        ("execution_errors", 1, 2),
        ("execution_error_kinds", {"NameError": 1}, {"NameError": 2}),
        ("introspection_calls", 0, 1),
        ("functions_used", 0, 1),
        ("help_blocks", 0, 1),
        ("findings", 0, 1),
        ("cut_turns", 1, 1),
        ("prompt_tokens", 300, 500),
        ("completion_tokens", 60, 100),
        ("cached_tokens", 180, 300),
        ("model_s", 6.0, 10.0),
        ("execution_s", 1.5, 2.5),
    ],
)
def test_a_fork_counts_its_own_turns_and_a_shared_beginning_counts_as_its_own(
    field: str, own: object, every: object
) -> None:
    assert getattr(measure(branched("run")), field) == own
    assert getattr(measure(branched(None)), field) == every


@pytest.mark.parametrize("run", ["run", None])
def test_turns_from_another_investigation_are_told_of_every_branch(run: str | None) -> None:
    found = measure(branched(run))
    assert (found.inherited_turns, found.inherited_tokens) == (2, 240)


def test_an_error_before_a_fork_is_not_its_to_repair() -> None:
    repairs = measure(branched("run")).repairs
    assert (repairs.failed, repairs.repaired) == (1, 1)


def with_ends(run: str | None) -> Measures:
    """A branch: its first experiment, which had a limit and required something, was not its own."""
    met = RequirementCheck(
        experiment="one", min_code_blocks=1, code_blocks=1, min_findings=0, findings=0
    )
    made = replace(
        branched(run),
        requirements=(met, replace(met, experiment="architecture")),
        experiments=(
            ("one", StopReason.TURN_LIMIT),
            ("architecture", StopReason.COMPLETED),
        ),
    )
    return measure(made)


def test_what_was_over_before_a_fork_was_neither_required_of_it_nor_cut_off() -> None:
    fork, shared = with_ends("run"), with_ends(None)
    assert [each.experiment for each in fork.requirements] == ["architecture"]
    assert (fork.is_censored, shared.is_censored) == (False, True)
    assert len(shared.requirements) == 2


@pytest.mark.parametrize(("run", "first"), [("run", 2), (None, 0)])
def test_turn_by_turn_a_fork_begins_where_it_was_forked(run: str | None, first: int) -> None:
    blocks = described(run).scopes[0].series[0]
    assert [point.turn for point in blocks.points] == list(range(first, 5))


def test_failures_before_a_fork_are_none_of_its_arm() -> None:
    (found,) = described("run").failures
    assert (found.n_executions, found.n_failed) == (3, 1)


def test_a_fork_without_code_was_productive_until_it_was_forked() -> None:
    made = transcript([turn(failed()), turn(failed()), turn()])
    silent = replace(made, origin=branched("run").origin)
    question = Question(arms=("a",), phases=("comparison",), primary="error_rate")
    (curve,) = compare([case(silent)], question).scopes[0].survival
    assert curve.steps[-1].turn == 2


def test_what_runs_did_before_they_were_forked_is_no_place_where_forks_part() -> None:
    cases = [
        case(
            replace(
                transcript([*before, turn(FINE)], arm=arm, replicate=seed),
                origin=branched("run").origin,
            )
        )
        for arm, before in (("a", [turn(FINE)] * 2), ("b", [turn(failed(), failed())] * 2))
        for seed in range(8)
    ]
    question = Question(arms=("a", "b"), phases=("comparison",), primary="error_rate")
    assert compare(cases, question).scopes[0].pairs[0].separation.turn is None
