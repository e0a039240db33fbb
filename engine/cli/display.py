"""Live progress on stderr, drawn from events only."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table

from engine.cli.console import say
from engine.cli.progress import Progress, Tally
from engine.events import Event, InvestigationEnded
from engine.loop import Record

_PLAIN_EVERY_S = 2.0

Watch = Callable[[Event], None]


class Watched(Record):
    """A record that also shows what it takes."""

    def __init__(self, record: Record, watch: Watch) -> None:
        """Pass events on to `record`, then to `watch`."""
        self._record = record
        self._watch = watch

    def append(self, event: Event) -> None:
        """Record, then show."""
        self._record.append(event)
        self._watch(event)

    async def commit(self) -> None:
        """Wait for the record."""
        await self._record.commit()


@contextmanager
def display(kind: str, progress: Progress, *, has_colour: bool) -> Generator[Watch]:
    """Show `progress` in the way that `kind` names; yield what must be told of every event."""
    if kind == "auto":
        kind = "rich" if sys.stderr.isatty() else "plain"
    match kind:
        case "rich":
            with _rich(progress, has_colour=has_colour) as watch:
                yield watch
        case "plain":
            yield _Plain(progress).watch
        case "log":
            yield _log
        case _:
            yield progress.take


@contextmanager
def _rich(progress: Progress, *, has_colour: bool) -> Generator[Watch]:
    console = Console(stderr=True, no_color=not has_colour)
    with Live(get_renderable=lambda: _table(progress), console=console, refresh_per_second=4):
        yield progress.take


def _table(progress: Progress) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("model", "done", "running", "turns", "blocks", "errors", "tokens/s", "ended by"):
        table.add_column(title, justify="left" if title in {"model", "ended by"} else "right")
    for model, tally in progress.tallies.items():
        table.add_row(model, *_cells(progress, model, tally))
    return table


def _cells(progress: Progress, model: str, tally: Tally) -> tuple[str, ...]:
    rate = tally.tokens / progress.elapsed_s if progress.elapsed_s else 0.0
    return (
        f"{tally.ended.total()}/{progress.planned[model]}",
        f"{tally.running}",
        f"{tally.turns}",
        f"{tally.blocks}",
        f"{tally.errors}",
        f"{rate:.0f}",
        ", ".join(f"{count} {reason}" for reason, count in tally.ended.items()),
    )


class _Plain:
    """One line per model, at most every two seconds, and at its last end."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._said_at = progress.started

    def watch(self, event: Event) -> None:
        progress = self._progress
        progress.take(event)
        is_end = isinstance(event, InvestigationEnded)
        if event.time - self._said_at >= _PLAIN_EVERY_S or (is_end and self._is_over()):
            self._said_at = event.time
            for model, tally in progress.tallies.items():
                say(f"{progress.elapsed_s:6.1f} s  {model}: {_sentence(progress, model, tally)}")

    def _is_over(self) -> bool:
        ended = sum(tally.ended.total() for tally in self._progress.tallies.values())
        return ended == self._progress.planned.total()


def _sentence(progress: Progress, model: str, tally: Tally) -> str:
    done, running, turns, blocks, errors, rate, ends = _cells(progress, model, tally)
    return (
        f"{done} done, {running} running, {turns} turns, {blocks} blocks, {errors} errors, "
        f"{rate} tokens/s" + (f"; ended by: {ends}" if ends else "")
    )


def _log(event: Event) -> None:
    say(msgspec.json.encode(event).decode())
