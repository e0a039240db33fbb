"""A disk that is full or read-only: said at once, and what was recorded goes on later."""

import asyncio
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli.room import room_kept
from engine.drain import Drain
from engine.events import CompletionReceived
from tests.cli.program import ROOT, WITHIN_S, endpoint, events_of, run, two_arms
from tests.faults.server import FaultyServer

FLAGS = ("--replicates", "60", "--concurrency", "10", "--display", "none", "--out", "out")
N_REQUESTS = 600
MOST_BYTES = 450_000
"""Of any file: more than the output of a block, less than the journal."""


def small_files_only() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES, MOST_BYTES))


def run_on_a_small_disk(server: FaultyServer, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "engine.run", *two_arms(server), *FLAGS],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        preexec_fn=small_files_only,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )


@pytest.mark.slow
async def test_a_full_disk_ends_the_run_at_once_and_loses_nothing_recorded(tmp_path: Path) -> None:
    async with endpoint() as server:
        done = await asyncio.to_thread(run_on_a_small_disk, server, tmp_path)
        assert done.returncode == 1, done.stderr
        assert "events.jsonl cannot be written (File too large)" in done.stderr
        assert "resume out" in done.stderr
        assert "Traceback" not in done.stderr
        n_asked, events = len(server.asks), events_of(tmp_path / "out")
        n_recorded = sum(isinstance(event, CompletionReceived) for event in events)
        assert n_asked - n_recorded <= 2 * 10, "more than what was under way is lost"
        again = await run("resume", "out", "--display", "none", cwd=tmp_path)
        assert again.code == 0, again.err
        assert len(server.asks) - n_asked == N_REQUESTS - n_recorded


async def test_a_disk_that_is_nearly_full_drains_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drain = Drain()
    with room_kept(tmp_path, drain, least_bytes=2**80):
        async with asyncio.timeout(WITHIN_S):
            while drain.reason is None:
                await asyncio.sleep(0)
    assert drain.reason == "the disk is nearly full"
    assert "Make room, then resume" in capsys.readouterr().err


async def test_a_disk_with_room_stops_nothing(tmp_path: Path) -> None:
    drain = Drain()
    with room_kept(tmp_path, drain, least_bytes=0):
        await asyncio.sleep(0.01)
    assert drain.reason is None
