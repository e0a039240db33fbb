"""Still productive at turn t: what ends an investigation, and what only cuts it off."""

import pytest

from engine.compare.cases import Case, Question
from engine.compare.comparing import compare
from engine.compare.result import Step
from engine.transcript import StopReason, Turn
from tests.compare.making import FINE, case, failed, transcript, turn


def curve_of(*cases: Case) -> tuple[Step, ...]:
    question = Question(arms=("a",), phases=("comparison",), primary="error_rate")
    (curve,) = compare(cases, question).scopes[0].survival
    return curve.steps


def ended(reason: StopReason, *turns: Turn, replicate: int = 0) -> Case:
    return case(transcript(turns, replicate=replicate, stop_reason=reason))


def test_an_investigation_that_a_limit_ended_while_it_was_productive_is_censored_there() -> None:
    made = [turn(failed()), turn(FINE)]
    last = curve_of(
        ended(StopReason.TURN_LIMIT, *made),
        ended(StopReason.COMPLETED, *made, replicate=1),
    )[-1]
    assert (last.turn, last.n_ended, last.n_censored, last.share) == (2, 1, 1, 0.5)


@pytest.mark.parametrize("barren", [turn(failed()), turn()])
def test_an_investigation_that_was_barren_when_a_limit_ended_it_had_ended_being_productive(
    barren: Turn,
) -> None:
    last = curve_of(ended(StopReason.TURN_LIMIT, turn(FINE), turn(FINE), barren))[-1]
    assert (last.turn, last.n_ended, last.n_censored, last.share) == (2, 1, 0, 0.0)


def test_an_investigation_that_infrastructure_ended_is_not_on_the_curve() -> None:
    first, *_ = curve_of(
        ended(StopReason.COMPLETED, turn(FINE)),
        ended(StopReason.SERVER_LOST, turn(FINE), replicate=1),
    )
    assert first.n_at_risk == 1


def test_an_arm_without_investigations_has_no_curve() -> None:
    assert curve_of() == ()
