"""`report RUN`: what a run found, finished or not."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table as RichTable

from engine.cli.console import emit, emit_json, emit_table, say
from engine.report.files import summary, write_files
from engine.report.run import Run, read_run
from engine.report.table import Table, markdown, sentences_of, tables_of


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
    """Print the verdict and what it rests on: JSON, tables in a terminal, Markdown in a pipe."""
    if as_json:
        emit_json(summary(found))
    elif sys.stdout.isatty():
        emit("\n".join(sentences_of(found.comparison)) + "\n")
        for table in tables_of(found):
            emit_table(_drawn(table))
    else:
        emit(markdown(found))


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(table.head):
        drawn.add_column(name, justify="right" if place else "left")
    for row in table.rows:
        drawn.add_row(*map(escape, row))
    return drawn
