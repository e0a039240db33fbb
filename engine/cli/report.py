"""`report RUN`: what a run found, finished or not."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.cli.console import emit, emit_json, emit_table, say
from engine.report.files import summary, write_files
from engine.report.run import Run, read_run
from engine.report.table import markdown, terminal


def report(
    run: Path, /, *, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> None:
    """Show what a run found, and write its JSON files anew from its journal.

    Parameters
    ----------
    run
        Run directory.
    as_json
        Print the summary as JSON.
    """
    found = read_run(run)
    write_files(found)
    show(found, as_json=as_json)
    say(f"run directory: {run}")


def show(found: Run, *, as_json: bool) -> None:
    """Print the comparison: JSON, a table in a terminal, Markdown in a pipe."""
    if as_json:
        emit_json(summary(found))
    elif sys.stdout.isatty():
        emit_table(terminal(found.arms()))
    else:
        emit(markdown(found.arms()))
