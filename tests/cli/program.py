"""The program as its users start it, and endpoints that answer like a small model."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from engine.events import AnyEvent
from engine.journal import read_events
from servers.embedded.model import tiny_models
from tests.faults.asks import steps
from tests.faults.server import FaultyServer, serving

ROOT = Path(__file__).parents[2]
WITHIN_S = 120
"""For what takes two seconds where nothing else does: the end of what hangs."""
WEIGHTS = tiny_models()[0].directory


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@asynccontextmanager
async def endpoint(**fields: object) -> AsyncGenerator[FaultyServer]:
    server = FaultyServer(**({"reply": steps, "window_tokens": 32_768} | fields))  # pyright: ignore[reportArgumentType]
    async with serving(server=server) as started:
        yield started


@asynccontextmanager
async def program(*arguments: str | Path, cwd: Path) -> AsyncGenerator[Process]:
    argv = (sys.executable, "-m", "engine.run", *map(str, arguments))
    process = await asyncio.create_subprocess_exec(*argv, cwd=cwd, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def run(*arguments: str | Path, cwd: Path) -> Outcome:
    async with program(*arguments, cwd=cwd) as process, asyncio.timeout(WITHIN_S):
        return await outcome(process)


async def outcome(process: Process) -> Outcome:
    out, err = await process.communicate()
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())


def two_arms(server: FaultyServer) -> tuple[str, ...]:
    return (*one_arm(server, "a"), *one_arm(server, "b"))


def bare_arms(server: FaultyServer) -> tuple[str, ...]:
    return (*bare_arm(server, "a"), *bare_arm(server, "b"))


def one_arm(server: FaultyServer, name: str = "a") -> tuple[str, ...]:
    """An arm at `server`, as if that served the smallest model that ships."""
    return (*bare_arm(server, name), *weights_of(name))


def weights_of(*models: str, at: Path = WEIGHTS) -> tuple[str, ...]:
    """Flags that name weights for models whose own are not here."""
    return tuple(flag for model in models for flag in ("--checkpoint", f"{model}={at}"))


def bare_arm(server: FaultyServer, name: str = "a") -> tuple[str, ...]:
    """An arm at `server` whose weights nobody names."""
    return ("--endpoint", f"{name}={server.url}#{server.served[0]}")


async def until_recorded(run_dir: Path, n_events: int) -> None:
    """Return once the journal of `run_dir` has `n_events`."""
    async with asyncio.timeout(WITHIN_S):
        while len(events_of(run_dir)) < n_events:
            await asyncio.sleep(0.02)


def events_of(run_dir: Path) -> list[AnyEvent]:
    path = run_dir / "events.jsonl"
    return list(read_events(path)) if path.exists() else []
