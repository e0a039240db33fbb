"""What a turn means for its experiment: does it end, why, and what is noted to the model. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from engine.actions import (
    AnyAction,
    Ask,
    Circling,
    Cut,
    Empty,
    Finish,
    Malformed,
    Nothing,
    RunCode,
)
from engine.events import CompletionReceived
from engine.phase import Experiment, Phase
from engine.prompts import render
from engine.repetition import n_repeats
from engine.requirements import checked
from engine.standing import Standing
from engine.transcript import Execution, StopReason

_BY_ITSELF = frozenset({StopReason.COMPLETED, StopReason.NO_CODE})
"""Ends that the model chose."""


class Verdict(NamedTuple):
    """What follows from one turn."""

    ends: StopReason | None
    """Why the experiment ends with it; None when it goes on."""
    notes: tuple[str, ...]
    """Said to the model beside the outputs."""
    is_told_shortfall: bool = False
    """It wanted to end, and the notes say what the experiment still requires."""


def judge(
    phase: Phase,
    experiment: Experiment,
    standing: Standing,
    action: AnyAction,
    executions: Sequence[Execution],
) -> Verdict:
    """Return what follows from the turn that stands open, once its blocks were executed."""
    assert standing.asked is not None, "a turn begins with its completion"
    deed = (standing.asked.own_text, tuple(execution.output for execution in executions))
    repeats = n_repeats([*standing.done, deed])
    idle = 0 if executions else standing.idle + 1
    used = standing.spent.turns + 1
    ends = end_of(phase, experiment, action, executions)
    short = _shortfall(phase, experiment, standing, executions) if ends in _BY_ITSELF else None
    ends = None if short else ends
    if not ends and (repeats >= phase.rules.repeats_to_stop or idle >= phase.rules.idle_to_stop):
        ends = StopReason.STUCK
    if not ends and used >= experiment.max_turns:
        ends = StopReason.TURN_LIMIT
    if ends:
        return Verdict(ends, ())
    due = reminder(phase, used=used, limit=experiment.max_turns)
    said = (*_notes(phase, experiment, standing.asked, repeats), short, due)
    return Verdict(None, tuple(note for note in said if note), is_told_shortfall=bool(short))


def _shortfall(
    phase: Phase, experiment: Experiment, standing: Standing, executions: Sequence[Execution]
) -> str | None:
    """Return the word on what the experiment still requires; it is said once."""
    check = checked(experiment, [*standing.own_executions, *executions])
    if check is None or check.is_met or standing.is_told_shortfall:
        return None
    facts = msgspec.structs.asdict(check)
    return render(phase.texts.shortfall, **facts, done_signal=phase.rules.done_signal)


def _notes(
    phase: Phase, experiment: Experiment, asked: CompletionReceived, repeats: int
) -> list[str]:
    texts = [
        phase.texts.foreign if asked.own_chars is not None else None,
        phase.texts.repeated if repeats >= phase.rules.repeats_to_nudge else None,
    ]
    facts = {"done_signal": phase.rules.done_signal, "has_code": experiment.has_code}
    return [render(text, **facts) for text in texts if text]


def reminder(phase: Phase, *, used: int, limit: int) -> str | None:
    """Return the word on how many turns are left in the experiment, when it is due."""
    left = limit - used
    is_due = used % phase.reminders.every_turns == 0 or left == phase.reminders.last_turns
    return render(phase.texts.reminder, used=used, limit=limit, left=left) if is_due else None


def end_of(
    phase: Phase, experiment: Experiment, action: AnyAction, executions: Sequence[Execution]
) -> StopReason | None:
    """Return why `experiment` ends with this reply, or None when it goes on."""
    if not experiment.has_code:
        return None if isinstance(action, Cut | Circling | Empty) else StopReason.COMPLETED
    match action:
        case Cut() | Circling() | Empty() | Ask() | Malformed():
            return None
        case Nothing():
            return StopReason.NO_CODE
        case Finish() | RunCode(is_done=True):
            return StopReason.COMPLETED
        case RunCode():
            is_printed = any(_prints_signal(execution, phase) for execution in executions)
            return StopReason.COMPLETED if is_printed else None


def _prints_signal(execution: Execution, phase: Phase) -> bool:
    """Only printed text counts: a traceback may quote the line that would have printed it."""
    signal, output = phase.rules.done_signal, execution.output
    if signal not in output:
        return False
    return not execution.error or any(line.strip() == signal for line in output.splitlines())
