"""Live progress on stderr, drawn from events only."""

import sys
import time
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import msgspec
from rich.console import Console

from engine.cli import figures
from engine.cli.console import is_terminal, say
from engine.cli.counts import counted
from engine.cli.options import Display
from engine.cli.panel import panel
from engine.cli.progress import Progress
from engine.cli.tallies import Tally
from engine.cli.ticking import every
from engine.events import Event
from engine.record import Hear

_LOOK_EVERY_S = 1.0
_LEAST_PAUSE_S = 2.0
_MOST_PAUSE_S = 60.0
_PAUSE_SHARE = 1 / 30
"""A line every two seconds in the first minute, one a minute in a run of a night."""


@contextmanager
def display(
    kind: Display, progress: Progress, *, has_colour: bool, is_notebook: bool
) -> Generator[Hear]:
    """Show `progress` in the way that `kind` names; yield what must be told of every event."""
    console = Console(stderr=True, no_color=not has_colour)
    if kind == "auto":
        kind = _fitting(console, is_notebook=is_notebook)
    match kind:
        case "rich":
            with panel(progress, console):
                yield progress.take
        case "bar":
            with _bar(progress):
                yield progress.take
        case "plain":
            with every(_LOOK_EVERY_S, _Plain(progress).look):
                yield progress.take
            _tell(progress)
        case "log":
            yield _log
        case _:
            yield progress.take


def _fitting(console: Console, *, is_notebook: bool) -> Display:
    """Return what suits the other end of stderr: nothing is drawn where nothing can move."""
    if is_notebook:
        return "bar"
    can_draw = is_terminal(sys.stderr) and not console.is_dumb_terminal
    return "rich" if can_draw else "plain"


@contextmanager
def _bar(progress: Progress) -> Generator[None]:
    """Draw one bar, of the investigations that ended: a notebook shows no more than one well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets the bar is text, which is enough
        from tqdm.auto import tqdm
    with tqdm(total=progress.n_planned, unit=" investigations") as bar:

        def draw() -> None:
            bar.n = progress.n_ended
            bar.set_postfix_str(_line(progress, time.time()))

        with every(_LOOK_EVERY_S, draw):
            yield
        draw()


def _line(progress: Progress, now: float) -> str:
    parts = [
        f"{model}: {counted(tally.turns, 'turn')}{_rate(tally, now, before=', ')}"
        for model, tally in progress.tallies.items()
    ]
    return "; ".join(parts)


class _Plain:
    """One line per model, the more seldom the longer it goes on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._said_at = progress.started

    def look(self) -> None:
        now = time.time()
        pause_s = _PAUSE_SHARE * (now - self._progress.started)
        if now - self._said_at >= min(_MOST_PAUSE_S, max(_LEAST_PAUSE_S, pause_s)):
            self._said_at = now
            _tell(self._progress)


def _tell(progress: Progress) -> None:
    now = time.time()
    for model in progress.tallies:
        say(f"{now - progress.started:6.1f} s  {model}: {_sentence(progress, model, now)}")


def _sentence(progress: Progress, model: str, now: float) -> str:
    tally = progress.tallies[model]
    parts = (
        f"{tally.ended.total()}/{tally.n_planned} done, {len(tally.courses)} running",
        counted(tally.turns, "turn"),
        counted(tally.blocks, "block"),
        counted(tally.errors, "error"),
        _rate(tally, now),
        _with("requests (running+queued+held)", figures.requests(tally)),
        _with("KV", figures.kv_use(tally)),
        _with("cached", figures.cached(tally)),
        _with("asked again", f"{tally.repeated:,}" if tally.repeated else ""),
        _with("about", figures.left(progress, model, now), " left"),
    )
    ended = figures.ends(tally)
    return ", ".join(part for part in parts if part) + (f"; ended by: {ended}" if ended else "")


def _rate(tally: Tally, now: float, before: str = "") -> str:
    rate = figures.tokens_per_s(tally, now)
    return f"{before}{rate} tokens/s" if rate else ""


def _with(name: str, figure: str, behind: str = "") -> str:
    return f"{name} {figure}{behind}" if figure else ""


def _log(event: Event) -> None:
    say(msgspec.json.encode(event).decode())
