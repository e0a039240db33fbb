"""What an experiment requires of the model, counted in what was executed. Pure."""

from collections.abc import Sequence

from engine.phase import Experiment, Requirements
from engine.transcript import Execution, RequirementCheck

FINDING_CALL = "memory.record_observation"
"""The call that stores a finding."""


def n_findings(executions: Sequence[Execution]) -> int:
    """Return how many findings were stored: calls that succeeded, not words that claim one."""
    calls = [call for execution in executions for call in execution.calls]
    return sum(call.method == FINDING_CALL and call.error is None for call in calls)


def checked(experiment: Experiment, executions: Sequence[Execution]) -> RequirementCheck | None:
    """Return what `experiment` requires beside what there is of it; None if that is nothing.

    `executions` are those of the experiment.
    """
    requires = experiment.requires
    if requires == Requirements():
        return None
    return RequirementCheck(
        experiment=experiment.name,
        min_code_blocks=requires.min_code_blocks,
        code_blocks=len(executions),
        min_findings=requires.min_findings,
        findings=n_findings(executions),
    )
