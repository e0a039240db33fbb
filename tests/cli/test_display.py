"""What a person sees while a run goes on: in a terminal, in a notebook, in a pipe."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from engine.events import InvestigationEnded, LoadSeen, RequestRepeated, RunStarted
from tests.cli.program import WITHIN_S, bare_arms, endpoint, events_of, program, run, two_arms
from tests.faults.asks import at_first
from tests.faults.faults import Fault

pytestmark = pytest.mark.slow

ESCAPE = "\x1b"
FLAGS = ("--replicates", "3", "--out", "out")


def in_terminal(arguments: tuple[str, ...], cwd: Path, **environment: str) -> str:
    """Run the program with a terminal as its stderr; return what it drew."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    given = {"PATH": os.defpath, "HOME": str(cwd), "TERM": "xterm"} | environment
    with subprocess.Popen(
        [sys.executable, "-m", "engine.run", *arguments],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=given | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        os.close(theirs)
        drawn = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.returncode == 0, drawn.decode()
    return drawn.decode()


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65_536)
    except OSError:  # the other end is closed
        return b""


async def seen(cwd: Path, *flags: str, **environment: str) -> str:
    async with endpoint(latency_s=0.2) as server:
        arguments = (*two_arms(server), *FLAGS, *flags)
        return await asyncio.to_thread(in_terminal, arguments, cwd, **environment)


async def test_a_terminal_shows_models_and_running_investigations(tmp_path: Path) -> None:
    drawn = await seen(tmp_path)
    assert f"{ESCAPE}[" in drawn
    assert "tokens/s" in drawn
    assert "a.comparison.1" in drawn
    assert "3/3" in drawn


async def test_a_terminal_that_cannot_draw_gets_lines(tmp_path: Path) -> None:
    drawn = await seen(tmp_path, TERM="dumb")
    assert ESCAPE not in drawn
    assert "a: 3/3 done" in drawn


async def test_a_terminal_without_colour_gets_none(tmp_path: Path) -> None:
    drawn = await seen(tmp_path, NO_COLOR="1")
    assert "a.comparison.1" in drawn
    assert f"{ESCAPE}[3" not in drawn


async def test_a_notebook_gets_one_bar(tmp_path: Path) -> None:
    drawn = await seen(tmp_path, JPY_PARENT_PID="1")
    assert "6/6" in drawn
    assert f"{ESCAPE}[A" not in drawn


async def test_a_pipe_gets_lines_and_nothing_drawn(tmp_path: Path) -> None:
    async with endpoint(latency_s=1.0) as server:
        done = await run(*two_arms(server), *FLAGS, cwd=tmp_path)
    assert ESCAPE not in done.err
    assert "a: 0/3 done, 3 running" in done.err
    assert "a: 3/3 done, 0 running" in done.err
    assert "; ended by: 3 completed" in done.err


async def test_a_log_is_the_events_themselves(tmp_path: Path) -> None:
    async with endpoint() as server:
        done = await run(*two_arms(server), *FLAGS, "--display", "log", cwd=tmp_path)
    logged = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    journal = (tmp_path / "out" / "events.jsonl").read_text().splitlines()
    assert logged == [json.loads(line) for line in journal]


async def test_where_a_run_is_taken_up_is_recorded(tmp_path: Path) -> None:
    async with (
        endpoint(latency_s=600) as server,
        program(*two_arms(server), *FLAGS, cwd=tmp_path) as process,
    ):
        await server.until_in_flight(6)
        process.kill()
    async with endpoint() as moved:
        done = await run("resume", "out", *bare_arms(moved), cwd=tmp_path)
        assert done.code == 0, done.err
    starts = [event for event in events_of(tmp_path / "out") if isinstance(event, RunStarted)]
    assert [start.endpoints["a"] for start in starts] == [(server.url,), (moved.url,)]
    assert all(start.machine["n_cores"] for start in starts)


async def test_the_load_of_servers_and_repeated_requests_are_recorded(tmp_path: Path) -> None:
    plan = at_first(Fault.SERVER_ERROR)
    out = tmp_path / "out"
    async with (
        endpoint(latency_s=1.5, slots=4, plan=plan) as busy,
        program(*two_arms(busy), *FLAGS, cwd=tmp_path) as process,
    ):
        async with asyncio.timeout(WITHIN_S):
            while not (n_running_in(out) and {RequestRepeated} <= set(map(type, events_of(out)))):
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    events = events_of(out)
    again = next(event for event in events if isinstance(event, RequestRepeated))
    assert "HTTP 500" in again.detail
    assert again.investigation.startswith(("a.", "b."))
    assert not any(isinstance(event, InvestigationEnded) for event in events)


def n_running_in(run_dir: Path) -> list[int]:
    """Return what was recorded of running requests, once their server has told it."""
    loads = [event for event in events_of(run_dir) if isinstance(event, LoadSeen)]
    return [load.n_running for load in loads if load.n_running is not None]


@pytest.mark.parametrize("kind", ["none", "bar"])
async def test_a_run_ends_alike_however_it_is_shown(kind: str, tmp_path: Path) -> None:
    async with endpoint() as server:
        done = await run(*two_arms(server), *FLAGS, "--display", kind, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "run directory: out" in done.err
