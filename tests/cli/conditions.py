"""What a run of conditions left behind, for tests that carry them out for real."""

import asyncio
import json
from pathlib import Path

from engine.events import AnyEvent, ExperimentEnded, TurnEnded
from engine.transcript import StopReason
from phases.load import get_phase, list_phases
from tests.cli.program import events_of, outcome, program

MODELS_OWN = {
    StopReason.COMPLETED,
    StopReason.NO_CODE,
    StopReason.STUCK,
    StopReason.TURN_LIMIT,
}
"""Ends of an experiment after which a phase goes on."""
LEAST_RAN = 0.8
WITHIN_S = 800
"""For twenty-five experiments of several turns each."""


def is_whole(run_dir: Path, case: str, phase: str) -> bool:
    """Tell whether every experiment of `phase` came to an end that lets the next one begin."""
    events = [each for each in events_of(run_dir) if getattr(each, "investigation", None) == case]
    stages = get_phase(phase).experiments
    ends = [event for event in events if isinstance(event, ExperimentEnded)]
    assert {end.stop_reason for end in ends} <= {*MODELS_OWN, StopReason.CONTEXT_FULL}
    assert n_executed(events) > 0
    is_through = {end.stop_reason for end in ends} <= MODELS_OWN
    return is_through and [end.experiment for end in ends] == [stage.name for stage in stages]


async def check_conditions(folder: Path, model: str, *flags: str) -> Path:
    """Run every phase twice, check that each came to its end, and return the run directory.

    Once is enough: a toy may ramble until its window is full.
    """
    phases = list_phases()
    out = folder / "out"
    arguments = ("run", *phases, "--model", model, "--replicates", "2", *flags, "--out", out)
    async with program(*arguments, cwd=folder) as process, asyncio.timeout(WITHIN_S):
        done = await outcome(process)
    assert done.code == 0, done.err
    for phase in phases:
        assert any(is_whole(out, f"{model}.{phase}.{n}", phase) for n in range(2)), phase
    assert share_that_ran(out) >= LEAST_RAN
    return out


def granted(run_dir: Path) -> set[str]:
    """Return the modules that the system prompt of 1a named."""
    (path,) = (run_dir / "transcripts").glob("*.1a.0.json")
    system = json.loads(path.read_text())["messages"][0]["content"]
    return {name for name in get_phase("1a").capabilities if f"introspection.{name}`" in system}


def n_executed(events: list[AnyEvent]) -> int:
    """Count the blocks that were executed."""
    return sum(len(event.executions) for event in events if isinstance(event, TurnEnded))


def share_that_ran(run_dir: Path) -> float:
    """Return the share of executed blocks that raised nothing."""
    turns = [event for event in events_of(run_dir) if isinstance(event, TurnEnded)]
    executions = [execution for turn in turns for execution in turn.executions]
    return sum(execution.error is None for execution in executions) / len(executions)
