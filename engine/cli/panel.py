"""Live progress in a terminal: the models, and the investigations that run."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from engine.cli import figures
from engine.cli.duration import span
from engine.cli.progress import Progress
from engine.cli.tallies import Course
from engine.cli.ticking import every

_EVERY_S = 0.5
_OTHER_LINES = 7
"""Heads of the tables, and what is said above and below them."""
_LEAST_SHOWN = 3
_LEGEND = (
    "requests: answered + queued by the server + held back here; cached: of the prompts' tokens"
)
_TROUBLE_CHARS = 160


@contextmanager
def panel(progress: Progress, console: Console) -> Generator[None]:
    """Draw `progress` on `console` until the block ends; the models stay to be seen."""
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        with every(_EVERY_S, lambda: live.update(_whole(progress, console.height), refresh=True)):
            yield
        live.update(_models(progress, time.time()), refresh=True)


def _whole(progress: Progress, height: int) -> RenderableType:
    now = time.time()
    n_rows = max(_LEAST_SHOWN, height - _OTHER_LINES - 2 * len(progress.tallies))
    return Group(
        _models(progress, now), *_troubles(progress), Text(), _courses(progress, now, n_rows)
    )


def _models(progress: Progress, now: float) -> Table:
    table = Table(box=None, pad_edge=False, caption=_LEGEND, caption_justify="left")
    table.add_column("model", no_wrap=True)
    names = ("done", "turns", "errors", "tokens/s", "requests", "KV", "cached", "left")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("ended by")
    for model, tally in progress.tallies.items():
        table.add_row(
            model,
            f"{tally.ended.total()}/{tally.n_planned}",
            f"{tally.turns:,}",
            f"{tally.errors:,}",
            figures.tokens_per_s(tally, now),
            figures.requests(tally),
            figures.kv_use(tally),
            figures.cached(tally),
            figures.left(progress, model, now),
            figures.ends(tally),
        )
    return table


def _troubles(progress: Progress) -> list[Text]:
    return [
        Text(f"{model}: {tally.repeated:,} asked again, the last for: {_short(tally.trouble)}")
        for model, tally in progress.tallies.items()
        if tally.repeated
    ]


def _short(trouble: str) -> str:
    return trouble if len(trouble) <= _TROUBLE_CHARS else trouble[:_TROUBLE_CHARS] + "..."


def _courses(progress: Progress, now: float, n_rows: int) -> Table:
    running = [course for tally in progress.tallies.values() for course in tally.courses.values()]
    running.sort(key=lambda course: -course.turns)
    hidden = len(running) - n_rows
    table = Table(box=None, pad_edge=False, caption_justify="left")
    if hidden > 0:
        table.caption = f"and {hidden:,} more that run"
    for name in ("investigation", "experiment"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("turn", "blocks", "errors", "tokens"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("doing", no_wrap=True)
    for course in running[:n_rows]:
        table.add_row(*_cells(progress, course, now))
    return table


def _cells(progress: Progress, course: Course, now: float) -> tuple[str, ...]:
    return (
        course.case.id,
        course.experiment,
        progress.turn_of(course),
        f"{course.blocks:,}",
        f"{course.errors:,}",
        f"{course.tokens:,}",
        f"{course.doing}, {span(now - course.since)}",
    )
