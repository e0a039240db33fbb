"""`phases`: the experimental conditions that there are."""

from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from engine.cli.console import emit_json, emit_table
from engine.phase import Phase
from phases.load import get_phase, list_phases


def phases(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """List the experimental conditions.

    Parameters
    ----------
    as_json
        Print them whole, as JSON by key.
    """
    found = [get_phase(key) for key in list_phases()]
    if as_json:
        emit_json({phase.key: phase.model_dump() for phase in found})
    else:
        emit_table(_table(found))


def _table(found: list[Phase]) -> Table:
    table = Table("phase", "experiments", "turns", "code", "asks", box=None, pad_edge=False)
    for phase in found:
        stages = phase.experiments
        table.add_row(
            phase.key,
            ", ".join(stage.name for stage in stages),
            "+".join(str(stage.max_turns) for stage in stages),
            "/".join("on" if stage.has_code else "off" for stage in stages),
            phase.asks,
        )
    return table
