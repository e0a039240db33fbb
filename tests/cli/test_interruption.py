"""Ctrl-C and kill -9: nothing recorded is lost, nothing is asked twice."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.events import CompletionReceived, InvestigationResumed, RunEnded
from servers.embedded.model import tiny_models
from tests.cli.program import (
    ROOT,
    WEIGHTS,
    WITHIN_S,
    bare_arms,
    endpoint,
    events_of,
    outcome,
    program,
    run,
    two_arms,
    until_recorded,
    weights_of,
)
from tests.faults.server import FaultyServer

BUSY = """
import os, signal, uvloop
from engine.cli.stopping import obey_signals, stop_at_once
from engine.drain import Drain

async def main():
    drain = Drain()
    drain.listen(lambda: None)
    obey_signals(drain)
    stop_at_once()
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        pass

try:
    uvloop.run(main())
except KeyboardInterrupt:
    print("stopped")
"""
"""A loop that hears nothing, as while results are worked out."""
MANY = ("--replicates", "10", "--concurrency", "5", "--display", "none", "--out", "out")


@pytest.fixture
def hangs_up() -> Iterator[None]:
    """Let programs hear of a lost terminal, even where the tests themselves do not (nohup)."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangs_up")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_an_interrupt_exits_130_and_keeps_the_journal(
    number: signal.Signals, tmp_path: Path
) -> None:
    async with (
        endpoint() as server,
        program(*two_arms(server), *MANY, cwd=tmp_path) as process,
    ):
        server.hold(30)
        await until_recorded(tmp_path / "out", 30)
        process.send_signal(number)
        server.release()
        async with asyncio.timeout(WITHIN_S):
            done = await outcome(process)
    assert done.code == 130, done.err
    assert "resume out" in done.err
    assert "Traceback" not in done.err
    last = events_of(tmp_path / "out")[-1]
    assert isinstance(last, RunEnded)
    assert last.is_interrupted
    assert (tmp_path / "out" / "summary.json").exists()


async def test_a_resumed_run_prints_its_summary_as_json(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), "--out", "out", "--display", "none", cwd=tmp_path)
        done = await run("resume", "out", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert set(json.loads(done.out)["models"]) == {"a", "b"}


async def killed_and_resumed(server: FaultyServer, n_events: int, cwd: Path) -> None:
    server.hold(60)
    async with program(*two_arms(server), *MANY, cwd=cwd) as process:
        await until_recorded(cwd / "out", n_events)
        process.kill()
    server.release()
    done = await run("resume", "out", "--display", "none", cwd=cwd)
    assert done.code == 0, done.err


@pytest.mark.parametrize("n_events", [2, 25, 60])
async def test_a_killed_run_goes_on_and_asks_nothing_twice(n_events: int, tmp_path: Path) -> None:
    async with endpoint(latency_s=0.05) as server:
        await killed_and_resumed(server, n_events, tmp_path)
        # What was in flight at the kill was never received: it may be asked again, once.
        assert len(server.asks) <= 100 + 2 * 5
    async with endpoint() as other:
        await run(*two_arms(other), *MANY[:-1], "whole", cwd=tmp_path)
    assert talks(tmp_path / "out") == talks(tmp_path / "whole")


async def test_a_killed_resume_is_resumed_and_nothing_is_lost(tmp_path: Path) -> None:
    async with endpoint(latency_s=0.05) as server:
        server.hold(80)
        async with program(*two_arms(server), *MANY, cwd=tmp_path) as process:
            await until_recorded(tmp_path / "out", 30)
            process.kill()
        for n_events in (60, 90):
            resume = ("resume", "out", "--display", "none")
            async with program(*resume, cwd=tmp_path) as process:
                await until_recorded(tmp_path / "out", n_events)
                process.kill()
        server.release()
        done = await run("resume", "out", "--display", "none", cwd=tmp_path)
        assert done.code == 0, done.err
        assert len(server.asks) <= 100 + 3 * 10
    events = events_of(tmp_path / "out")
    replies = [event for event in events if isinstance(event, CompletionReceived)]
    assert len({(event.investigation, event.turn) for event in replies}) == len(replies) == 100
    assert all(event.is_exact for event in events if isinstance(event, InvestigationResumed))


async def test_whoever_follows_the_journal_sees_whole_lines_as_they_come(tmp_path: Path) -> None:
    async with (
        endpoint(latency_s=0.05) as server,
        program(*two_arms(server), *MANY, cwd=tmp_path) as process,
    ):
        await until_recorded(tmp_path / "out", 10)
        journal = tmp_path / "out" / "events.jsonl"
        follower = await asyncio.create_subprocess_exec(
            *("tail", "-n", "+1", "-f", "--pid", str(process.pid), journal),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(WITHIN_S):
            await outcome(process)
            seen, _ = await follower.communicate()
    assert seen == journal.read_bytes()
    assert all(json.loads(line) for line in seen.splitlines())


async def test_resume_revives_the_namespace_exactly(tmp_path: Path) -> None:
    async with endpoint(latency_s=0.05) as server:
        await killed_and_resumed(server, 60, tmp_path)
    resumed = [e for e in events_of(tmp_path / "out") if isinstance(e, InvestigationResumed)]
    assert resumed
    assert all(event.is_exact for event in resumed)


async def test_resuming_a_finished_run_asks_nothing(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), "--out", "out", cwd=tmp_path)
        n_asks = len(server.asks)
        done = await run("resume", "out", cwd=tmp_path)
        assert done.code == 0, done.err
        assert len(server.asks) == n_asks


async def test_resume_goes_on_at_another_address(tmp_path: Path) -> None:
    async with (
        endpoint() as server,
        program(*two_arms(server), *MANY, cwd=tmp_path) as process,
    ):
        server.hold(30)
        await until_recorded(tmp_path / "out", 25)
        process.kill()
    async with endpoint() as moved:
        done = await run("resume", "out", *bare_arms(moved), cwd=tmp_path)
    assert done.code == 0, done.err


async def test_resume_finds_the_same_weights_at_another_place_and_takes_no_others(
    tmp_path: Path,
) -> None:
    first, second, other = tmp_path / "first", tmp_path / "second", tiny_models()[1].directory
    shutil.copytree(WEIGHTS, first)
    async with endpoint() as server:
        server.hold(30)
        arms = (*bare_arms(server), *weights_of("a", "b", at=first))
        async with program(*arms, *MANY, cwd=tmp_path) as process:
            await until_recorded(tmp_path / "out", 25)
            process.kill()
        server.release()
        first.rename(second)
        lost = await run("resume", "out", cwd=tmp_path)
        refused = await run("resume", "out", *weights_of("a", "b", at=other), cwd=tmp_path)
        done = await run("resume", "out", *weights_of("a", "b", at=second), cwd=tmp_path)
    assert lost.code == 3, lost.err
    assert "name another directory with --checkpoint" in " ".join(lost.err.split())
    assert refused.code == 2, refused.err
    assert "checkpoint_fingerprint of a" in refused.err
    assert done.code == 0, done.err


async def test_resume_under_another_window_is_refused_by_name(tmp_path: Path) -> None:
    async with (
        endpoint() as server,
        program(*two_arms(server), *MANY, cwd=tmp_path) as process,
    ):
        server.hold(30)
        await until_recorded(tmp_path / "out", 25)
        process.kill()
    async with endpoint(window_tokens=4096) as changed:
        done = await run("resume", "out", *bare_arms(changed), cwd=tmp_path)
    assert done.code == 2, done.err
    assert "max_model_len of a was 32768 and is 4096" in done.err


async def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    async with (
        endpoint(latency_s=600) as server,
        program(*two_arms(server), *MANY, cwd=tmp_path),
    ):
        await until_recorded(tmp_path / "out", 10)
        done = await run("resume", "out", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "another process" in done.err


def talks(run_dir: Path) -> dict[str, list[dict[str, str]]]:
    comparison = json.loads((run_dir / "model_comparison.json").read_text())
    return {
        talk["investigation"]: talk["messages"]
        for arm in comparison["models"].values()
        for talk in arm["conversations"]
    }


INTERRUPT = "import signal\nsignal.raise_signal(signal.SIGINT)\n"


@pytest.mark.parametrize(
    "code", [INTERRUPT, f"exec({INTERRUPT!r})\n"], ids=["a module", "a string of a module"]
)
async def test_an_interrupt_while_modules_are_imported_is_quiet(code: str, tmp_path: Path) -> None:
    (tmp_path / "cyclopts.py").write_text(code)  # found before the one that is installed
    done = await run("phases", cwd=tmp_path)
    assert done.code == 130, done.err
    assert not done.err


async def test_an_interrupt_while_results_are_worked_out_stops_at_once() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BUSY, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert out == b"stopped\n"
