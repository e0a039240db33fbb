"""What is counted, against transcripts made by hand."""

import pytest

from engine.compare.catalogue import MEASURES, named
from engine.compare.definitions import DEFINITIONS
from engine.compare.measures import measure
from engine.compare.turns import calls_help, counts_of
from engine.errors import UsageError
from engine.transcript import (
    NAMESPACE_LOST,
    Call,
    Execution,
    ExecutionError,
    StopReason,
    Transcript,
    Usage,
)
from tests.compare.making import FINE, failed, fine, transcript, turn


def value(name: str, made: Transcript, granted: int | None = 10) -> float:
    above, below = named(name).ratio
    counted = measure(made, (), granted)
    return above(counted) / below(counted)


def test_turns_and_blocks_are_counted_from_executions() -> None:
    made = transcript([turn(FINE, FINE), turn(), turn(failed())])
    assert value("turns", made) == 3
    assert value("code_blocks", made) == 3
    assert value("execution_errors", made) == 1
    assert value("error_rate", made) == pytest.approx(1 / 3)
    assert value("silent_share", made) == pytest.approx(1 / 3)


def test_errors_are_counted_by_class() -> None:
    made = transcript([turn(failed(), failed("KeyError", "'k'")), turn(failed())])
    assert measure(made).execution_error_kinds == {"KeyError": 1, "NameError": 2}


@pytest.mark.parametrize(
    ("blocks", "rate"),
    [
        ([failed(), FINE], 1.0),
        ([failed(), failed(), FINE], 0.5),
        ([FINE, failed()], 0.0),
        ([failed(), FINE, failed(), FINE], 1.0),
    ],
)
def test_an_error_is_repaired_when_the_next_block_runs(
    blocks: list[Execution], rate: float
) -> None:
    assert value("repair_rate", transcript([turn(block) for block in blocks])) == rate


def test_a_block_of_the_next_experiment_repairs_nothing() -> None:
    made = transcript([turn(failed(), experiment="one"), turn(FINE, experiment="two")])
    assert value("repair_rate", made) == 0


def test_failures_of_the_harness_are_told_from_the_models_own() -> None:
    lost = failed(NAMESPACE_LOST, "ended by signal 9; all variables are lost")
    made = transcript([turn(lost), turn(FINE), turn(failed()), turn(FINE)])
    counted = measure(made)
    above, below = named("error_rate").own or pytest.fail("errors can be the harness's")
    assert (above(counted), below(counted)) == (1, 3)
    assert counted.execution_errors == 2


def test_tokens_and_seconds_are_summed_over_turns() -> None:
    usage = Usage(prompt_tokens=1_000, completion_tokens=50, cached_tokens=900)
    made = transcript([turn(FINE, usage=usage, model_s=4.0), turn(FINE, FINE, usage=usage)])
    assert value("prompt_tokens", made) == 2_000
    assert value("completion_tokens", made) == 100
    assert value("cached_share", made) == 0.9
    assert value("model_s", made) == 6
    assert value("execution_s", made) == 1.5
    assert value("tokens_per_s", made) == pytest.approx(100 / 6)


def test_coverage_counts_each_function_that_answered_once() -> None:
    refused = Call(
        method="weights.get_weight_statistics",
        arguments={},
        error=ExecutionError("ValueError", "no layer"),
    )
    with_error = Execution(code="x", output="", calls=(refused,))
    made = transcript(
        [turn(fine("architecture.a", "architecture.a", "memory.b")), turn(with_error)]
    )
    assert value("api_coverage", made, granted=8) == 0.25
    assert value("calls", made) == 4
    assert value("failed_call_share", made) == 0.25


def test_findings_are_calls_that_succeeded_not_words() -> None:
    stored = fine("memory.record_observation", "memory.query_observations", "memory.query_beliefs")
    made = transcript([turn(stored), turn(text="I recorded three observations.")])
    assert value("findings", made) == 1
    assert value("findings_read", made) == 2


@pytest.mark.parametrize(
    ("code", "is_help"),
    [
        ("help(weights)", True),
        ("print(dir(weights))", True),
        ("x = 1\nif x:\n    help(weights.get_layer_info)", True),
        ("help_text = 'help(weights)'", False),
        ("weights.help()", False),
        ("print('no')", False),
        ("help(", False),
    ],
)
def test_use_of_help_is_a_call_in_the_code(code: str, is_help: bool) -> None:  # noqa: FBT001 - a table of cases
    assert calls_help(code) is is_help


def test_a_turn_that_says_and_does_the_same_again_repeats() -> None:
    same = turn(FINE, text="The same.")
    counts = counts_of(transcript([same, turn(FINE, text="Another."), same, same]))
    assert [each.is_repeat for each in counts] == [False, False, False, True]


def test_a_reply_that_goes_in_circles_repeats() -> None:
    made = transcript([turn(text="and so on " * 60)])
    assert value("repetition", made) == 1


def test_a_reply_at_the_token_limit_is_cut() -> None:
    made = transcript([turn(finish_reason="length"), turn(FINE)])
    assert value("cut_share", made) == 0.5


@pytest.mark.parametrize(
    ("reason", "is_censored"),
    [
        (StopReason.TURN_LIMIT, True),
        (StopReason.TOKEN_LIMIT, True),
        (StopReason.TIME_LIMIT, True),
        (StopReason.CONTEXT_FULL, True),
        (StopReason.COMPLETED, False),
        (StopReason.NO_CODE, False),
        (StopReason.STUCK, False),
    ],
)
def test_an_end_by_a_limit_is_censored(reason: StopReason, is_censored: bool) -> None:  # noqa: FBT001 - a table of cases
    assert value("censored", transcript([turn(FINE)], stop_reason=reason)) == is_censored


def test_names_of_measures_are_distinct() -> None:
    assert len({each.name for each in MEASURES}) == len(MEASURES)


def test_an_unknown_measure_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"--primary 'speed'.*error_rate"):
        named("speed")


def test_every_measure_says_what_it_is() -> None:
    assert DEFINITIONS.keys() == {each.name for each in MEASURES}
