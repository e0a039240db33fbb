"""What `serve` shows while it runs: a line per step, and a live line per server."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from rich.table import Table

from engine.chat.load import Load
from engine.cli.console import is_terminal, say
from engine.endpoint import Endpoint
from servers.kept import Kept
from servers.launch.load import read_load
from servers.launch.values import Progress

if TYPE_CHECKING:
    from rich.live import Live

_PLAIN_EVERY = 30
"""Without a terminal, one look in so many is written."""


def step_text(step: Progress) -> str:
    """One step in the life of a server, as a line."""
    detail = f": {step.detail}" if step.detail else ""
    return f"{step.model}  {step.state}  {step.elapsed_s:.0f} s{detail}"


def load_text(model: str, load: Load | None, before: Load | None) -> str:
    """One line about how busy a server is."""
    return f"{model}  {_busy(load, before)}"


def _busy(load: Load | None, before: Load | None) -> str:
    if load is None:
        return "does not answer"
    speed = f", {load.tokens_per_s(before):.0f} tokens/s" if before else ""
    cache = "" if load.kv_share is None else f", KV cache {load.kv_share:.0%}"
    return f"{load.n_running} running, {load.n_waiting} waiting{cache}{speed}"


def _port(url: str) -> int:
    return urlsplit(url).port or 0


def status_values(kept: Kept) -> list[dict[str, object]]:
    """One object per model of a `serve`, with its load as it is now; asks the servers."""
    urls = {model.endpoint.model: model.endpoint.url for model in kept.served}
    return [
        {
            "model": name,
            "url": urls.get(name),
            "pid": kept.pid,
            "since": kept.started,
            "is_ready": kept.is_ready,
            "log_dir": kept.log_dir,
            "load": read_load(_port(urls[name])) if name in urls else None,
        }
        for name in kept.names
    ]


def status_table(found: Sequence[Kept]) -> Table:
    """One row per model that is served; asks the servers."""
    columns = ("model", "url", "pid", "since", "now", "logs")
    table = Table(*columns, box=None, pad_edge=False)
    for kept in found:
        since = datetime.fromtimestamp(kept.started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        urls = {model.endpoint.model: model.endpoint.url for model in kept.served}
        for name in kept.names:
            url = urls.get(name)
            now = _busy(read_load(_port(url)), None) if url else "starting"
            table.add_row(name, url or "-", str(kept.pid), since, now, kept.log_dir)
    return table


class Watch:
    """Looks at servers now and then, and shows what it sees."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        """Watch these."""
        self._ports = {one.model: _port(one.url) for one in endpoints}
        self._before: dict[str, Load | None] = {}
        self._n_looks = 0
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Take over the lower end of the terminal, if there is one."""
        if is_terminal(sys.stderr):
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()

    async def look(self) -> None:
        """Ask every server once, and show the answers."""
        lines: list[str] = []
        for model, port in self._ports.items():
            load = await asyncio.to_thread(read_load, port)
            lines.append(load_text(model, load, self._before.get(model)))
            self._before[model] = load
        text = "\n".join(lines)
        if self._live is not None:
            self._live.update(text, refresh=True)
        elif self._n_looks % _PLAIN_EVERY == 0:
            say(text)
        self._n_looks += 1
