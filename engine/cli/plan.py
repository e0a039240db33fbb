"""`plan`: which servers a set of models needs here, and where the memory goes. Starts nothing."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.cli.compare import MAIN_PHASE
from engine.cli.console import emit, emit_json, emit_table, say
from engine.cli.plan_forecast import Amount, forecast_text, planned_outlook
from engine.cli.plan_view import (
    as_values,
    memory_table,
    refusal_values,
    server_table,
    steps_text,
    text_of,
)
from engine.cli.planning import Wanted, ask, planned
from servers.fit import LaunchPlan


def plan(
    *phase: str,
    wanted: Wanted | None = None,
    amount: Amount | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Path | None = None,
) -> None:
    """Fit models to the GPUs that are there and show the servers that would be started.

    Says how long the phases would take there, as far as runs on such servers are remembered.

    Parameters
    ----------
    phase
        Keys of phases to be run there; `phases` lists them. Default: comparison.
    as_json
        Print the plan as JSON.
    config
        TOML file with values for these flags; those of one command alone in a table of its name.
    """
    del config  # the application reads it before it reads the flags
    found = ask(wanted or Wanted())
    if isinstance(found, LaunchPlan):
        _show(found, phase or (MAIN_PHASE,), amount or Amount(), as_json=as_json)
        return
    if as_json:
        emit_json(refusal_values(found))
    elif found.steps:
        say(steps_text(found.steps))
    planned(found)


def _show(plan: LaunchPlan, phases: tuple[str, ...], amount: Amount, *, as_json: bool) -> None:
    found = planned_outlook(plan, phases, amount)
    if as_json:
        emit_json(as_values(plan) | {"forecast": found})
        return
    emit_table(server_table(plan))
    emit("\nMemory, GiB:")
    emit_table(memory_table(plan))
    emit(text_of(plan))
    emit("\n" + forecast_text(found, plan, amount))
