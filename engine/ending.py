"""When an experiment ends with a reply, and why. Pure."""

from collections.abc import Iterable

from engine.actions import AnyAction, Ask, Cut, Finish, Malformed, Nothing, RunCode
from engine.phase import Experiment, Phase
from engine.transcript import Execution, StopReason


def end_of(
    phase: Phase, experiment: Experiment, action: AnyAction, executions: Iterable[Execution]
) -> StopReason | None:
    """Return why `experiment` ends with this reply, or None when it goes on."""
    if not experiment.has_code:
        return None if isinstance(action, Cut) else StopReason.COMPLETED
    match action:
        case Cut() | Ask() | Malformed():
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
    signal = phase.rules.done_signal
    lines = execution.output.splitlines()
    if execution.error:
        return any(line.strip() == signal for line in lines)
    return any(signal in line for line in lines)
