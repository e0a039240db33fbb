"""What a run found, shown in the notebook."""

import shutil
from html import escape
from importlib import import_module
from pathlib import Path

from engine.cli.console import say
from engine.cli.report import report

_HEIGHT_PX = 800
_MOST_BYTES = 20_000_000
"""A larger report is downloaded, not shown: the notebook would be as large."""


def summary(run: Path) -> None:
    """Print what the run found."""
    report(run)


def show_report(run: Path) -> None:
    """Show the report inside the notebook."""
    page = run / "report.html"
    if not page.exists() or page.stat().st_size > _MOST_BYTES:
        say(f"{page} is not shown here; the download has it.")
        return
    html = escape(page.read_text(encoding="utf-8"), quote=True)
    frame = f'<div><iframe srcdoc="{html}" width="100%" height="{_HEIGHT_PX}"></iframe></div>'
    display = import_module("IPython.display")
    display.display(display.HTML(frame))


def download(run: Path) -> None:
    """Pack the run directory, and hand it to the browser where that is possible."""
    archive = Path(shutil.make_archive(str(run), "zip", root_dir=run.parent, base_dir=run.name))
    try:
        import_module("google.colab.files").download(str(archive))
    except ImportError:
        say(f"packed: {archive}")
