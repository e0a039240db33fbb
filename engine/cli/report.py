"""`report RUN`: what a run found, finished or not."""

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table as RichTable

from engine.cli.access import credentials_of
from engine.cli.console import emit, emit_json, emit_table, is_terminal, say
from engine.errors import RunError
from engine.report.costs import costs
from engine.report.files import summary, write_files
from engine.report.naming import redaction_for
from engine.report.page.page import NAME as PAGE
from engine.report.page.page import page_of
from engine.report.replacing import replacing
from engine.report.run import Run, read_run
from engine.report.table import Table, markdown, sentences_of, tables_of

_LARGE_BYTES = 20_000_000
"""A run of this size takes a few seconds."""


def report(
    run: Path,
    /,
    *,
    is_opened: Annotated[bool, Parameter(name="--open", negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Show what a run found, and write its JSON files and report.html anew from its journal.

    Parameters
    ----------
    run
        Run directory.
    is_opened
        Open report.html in the browser.
    as_json
        Print the summary as JSON.
    """
    found = read(run)
    try:
        write_out(found)
    except RunError as error:
        say(str(error))
    show(found, as_json=as_json)
    page = run / PAGE
    if page.exists():
        say(f"report: {page}")
    say(f"run directory: {run}")
    if is_opened and not (page.exists() and webbrowser.open(page.resolve().as_uri())):
        say("no browser was found here: open report.html in one, or copy it to where there is one.")


def read(directory: Path) -> Run:
    """Read a run, and say so where that takes seconds.

    Raises:
        UsageError: it is no run directory, is damaged, or was written by another version.
    """
    journal = directory / "events.jsonl"
    n_bytes = _n_bytes(journal)
    if n_bytes > _LARGE_BYTES:
        say(
            f"working out what {n_bytes / 1e6:,.0f} MB of events show. All of it is recorded: "
            f"`report {directory}` does this again."
        )
    return read_run(directory)


def _n_bytes(journal: Path) -> int:
    """Return the size of a journal; 0 where it cannot be seen: whoever reads it says why."""
    try:
        return journal.stat().st_size
    except OSError:
        return 0


def write_out(found: Run) -> None:
    """Write all that is derived from a run into its directory: every file anew, or none.

    Raises:
        RunError: a file cannot be written; it says what became of the others.
    """
    secrets = credentials_of(found.manifest.arms)
    redaction = redaction_for(found.manifest, found.directory, secrets)
    with replacing() as files:
        write_files(found, files)
        files.add(found.directory / PAGE, page_of(found, redaction).encode())


def show(found: Run, *, as_json: bool) -> None:
    """Print the verdict and what it rests on: JSON, tables in a terminal, Markdown in a pipe."""
    if as_json:
        emit_json(summary(found))
    elif is_terminal(sys.stdout):
        emit("\n".join(sentences_of(found.comparison)) + "\n")
        for table in tables_of(found):
            emit_table(_drawn(table))
    else:
        emit(markdown(found))
    known = costs(found)
    for arm in found.manifest.arms:
        if each := known.get(arm.model):
            say(f"cost: {arm.model} {each.amount:.4f} {each.currency}")
        elif arm.prices:
            say(f"cost: {arm.model} not known: its server tells no token counts")


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(table.head):
        drawn.add_column(name, justify="left" if table.is_of_words(place) else "right")
    for row in table.rows:
        drawn.add_row(*map(escape, row))
    return drawn
