"""What a run found, shown in the notebook: all of it, or what an interrupted one has recorded."""

import shutil
from html import escape
from importlib import import_module
from pathlib import Path

from engine.cli.console import say
from engine.cli.notebook.choosing import Choice
from engine.cli.notebook.drive import restore
from engine.cli.report import report, write_out
from engine.report.page.page import NAME as PAGE
from engine.report.run import read_run

_HEIGHT_PX = 800
_MOST_BYTES = 20_000_000
"""A larger report is downloaded, not shown: the notebook would be as large."""


def summary(choice: Choice) -> None:
    """Print what the run of `choice` found."""
    if run := _recorded(choice):
        report(run)


def show_report(choice: Choice) -> None:
    """Show the report of the run of `choice` inside the notebook."""
    if run := _recorded(choice):
        _show(_report_of(run))


def download(choice: Choice) -> None:
    """Pack the run directory of `choice`, and hand it to the browser where that is possible."""
    if run := _recorded(choice):
        _hand_over(_packed(run))


def _recorded(choice: Choice) -> Path | None:
    """Return the run directory, brought back from Drive if need be; None, and said: there is none.

    A run begins with its manifest.
    """
    run = choice.run_dir
    restore(run, choice.snapshot_dir)
    if (run / "manifest.json").exists():
        return run
    say(f"nothing is recorded in {run} yet: run cell 6 first.")
    return None


def _report_of(run: Path) -> Path:
    """Return the report, which is written anew where it tells less than the journal."""
    page, journal = run / PAGE, run / "events.jsonl"
    if not page.exists() or page.stat().st_mtime < journal.stat().st_mtime:
        write_out(read_run(run))
    return page


def _show(page: Path) -> None:
    if page.stat().st_size > _MOST_BYTES:
        say(f"{page} is too large to be shown here; the download has it.")
        return
    html = escape(page.read_text(encoding="utf-8"), quote=True)
    frame = f'<div><iframe srcdoc="{html}" width="100%" height="{_HEIGHT_PX}"></iframe></div>'
    display = import_module("IPython.display")
    display.display(display.HTML(frame))


def _packed(run: Path) -> Path:
    return Path(shutil.make_archive(str(run), "zip", root_dir=run.parent, base_dir=run.name))


def _hand_over(archive: Path) -> None:
    try:
        import_module("google.colab.files").download(str(archive))
    except ImportError:
        say(f"packed: {archive}")
