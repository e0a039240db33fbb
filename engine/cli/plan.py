"""`plan`: which servers a set of models needs here, and where the memory goes. Starts nothing."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from engine.cli.console import emit, emit_json, emit_table, say
from engine.cli.plan_view import (
    as_values,
    memory_table,
    refusal_values,
    server_table,
    steps_text,
    text_of,
)
from engine.cli.planning import Wanted, ask, planned
from servers.fit import LaunchPlan, Refusal


def plan(
    *,
    wanted: Wanted | None = None,
    alternate: Literal["sleep", "serial"] | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Path | None = None,
) -> None:
    """Fit models to the GPUs that are there and show the servers that would be started.

    Parameters
    ----------
    alternate
        Where the models do not fit together: one awake at a time, or one after another.
    as_json
        Print the plan as JSON.
    config
        TOML file with values for these flags.
    """
    del config  # the application reads it before it reads the flags
    found = ask(wanted or Wanted())
    plans = (found,) if isinstance(found, LaunchPlan) else _in_turn(found, alternate)
    if plans:
        _show(plans, as_json=as_json)
        return
    assert isinstance(found, Refusal)
    if as_json:
        emit_json(refusal_values(found))
    elif found.steps:
        say(steps_text(found.steps))
    planned(found)


def _show(plans: tuple[LaunchPlan, ...], *, as_json: bool) -> None:
    if as_json:
        emit_json(as_values(plans))
        return
    emit_table(server_table(plans))
    emit("\nMemory, GiB:")
    emit_table(memory_table(plans))
    emit(text_of(plans))


def _in_turn(refusal: Refusal, alternate: str | None) -> tuple[LaunchPlan, ...]:
    return next((offer.plans for offer in refusal.offers if offer.kind == alternate), ())
