"""A run that is told to stop finishes the turns under way, loses nothing, and says how to go on."""

import asyncio
import fcntl
import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web

from engine.events import AnyEvent, CompletionReceived, InvestigationEnded, RunEnded, TurnEnded
from tests.cli.program import (
    WITHIN_S,
    Outcome,
    endpoint,
    events_of,
    outcome,
    program,
    run,
    two_arms,
    until_recorded,
)
from tests.faults.asks import steps
from tests.faults.server import FaultyServer, serving

MANY = ("--replicates", "10", "--concurrency", "5", "--display", "none", "--out", "out")
N_REQUESTS = 100
"""Two arms, ten replicates, five turns."""


def n_of(events: Sequence[AnyEvent], kind: type[AnyEvent]) -> int:
    return sum(isinstance(event, kind) for event in events)


async def test_the_first_interrupt_finishes_the_turns_under_way(tmp_path: Path) -> None:
    async with (
        endpoint() as server,
        program(*two_arms(server), *MANY, cwd=tmp_path) as process,
    ):
        server.hold(30)
        await until_recorded(tmp_path / "out", 30)
        process.send_signal(signal.SIGINT)
        server.release()
        async with asyncio.timeout(WITHIN_S):
            done = await outcome(process)
        events = events_of(tmp_path / "out")
        assert n_of(events, CompletionReceived) == n_of(events, TurnEnded) == len(server.asks)
    assert done.code == 130, done.err
    assert "resume out" in done.err
    assert n_of(events, TurnEnded) < N_REQUESTS
    assert isinstance(events[-1], RunEnded)
    assert events[-1].is_interrupted


async def test_what_was_drained_goes_on_without_asking_twice(tmp_path: Path) -> None:
    async with endpoint() as server:
        server.hold(30)
        async with program(*two_arms(server), *MANY, cwd=tmp_path) as process:
            await until_recorded(tmp_path / "out", 30)
            process.send_signal(signal.SIGINT)
            server.release()
            async with asyncio.timeout(WITHIN_S):
                await outcome(process)
        done = await run("resume", "out", "--display", "none", cwd=tmp_path)
        assert done.code == 0, done.err
        assert len(server.asks) == N_REQUESTS


async def test_the_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    async with (
        endpoint(latency_s=600) as server,
        program(*two_arms(server), *MANY, cwd=tmp_path) as process,
    ):
        async with asyncio.timeout(WITHIN_S):
            await server.until_in_flight(10)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            while b"once more" not in await process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            done = await outcome(process)
    assert done.code == 130, done.err
    assert "resume out" in done.err
    assert n_of(events_of(tmp_path / "out"), InvestigationEnded) == 0


class Pausing(FaultyServer):
    """Wants all to stay away for longer than a test may take."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.is_asked.set()
        return web.Response(status=429, headers={"Retry-After": "100"})


async def test_an_interrupt_ends_the_pause_that_a_server_wants(tmp_path: Path) -> None:
    server = Pausing()
    async with (
        serving(server=server),
        program(*two_arms(server), *MANY, cwd=tmp_path) as process,
    ):
        async with asyncio.timeout(WITHIN_S):
            await server.is_asked.wait()
            process.send_signal(signal.SIGINT)
            done = await outcome(process)
    assert done.code == 130, done.err
    assert "resume out" in done.err


async def past_its_deadline(server: FaultyServer, out: str, deadline_s: int, cwd: Path) -> Outcome:
    """Run with no answer before the deadline."""
    assert server.may_answer is not None
    flags = (*two_arms(server), *MANY[:-1], out, "--deadline", f"{deadline_s}s")
    async with program(*flags, cwd=cwd) as process, asyncio.timeout(WITHIN_S + deadline_s):
        assert process.stderr is not None
        said = b""
        while b"the deadline is reached" not in said:
            line = await process.stderr.readline()
            assert line, said.decode()
            said += line
        server.may_answer.set()
        done = await outcome(process)
    return done._replace(err=said.decode() + done.err)


async def test_a_deadline_leaves_the_rest_for_a_resume(tmp_path: Path) -> None:
    async with endpoint() as server:
        for deadline_s in (6, 30, 100):  # the first that the machine has time to begin in
            server.may_answer = asyncio.Event()
            done = await past_its_deadline(server, f"out-{deadline_s}", deadline_s, tmp_path)
            assert done.code == 4, done.err
            assert "deadline" in done.err
            out = f"out-{deadline_s}"
            if server.asks:
                break
        assert f"resume {out}" in done.err
        n_asked = len(server.asks)
        assert 0 < n_asked <= 2 * 5, "more than was under way"
        assert n_of(events_of(tmp_path / out), TurnEnded) == n_asked
        again = await run("resume", out, "--display", "none", cwd=tmp_path)
        assert again.code == 0, again.err
        assert len(server.asks) == N_REQUESTS


class Late(FaultyServer):
    """Takes longer than the deadline to say what it serves."""

    async def models(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1.5)
        return await super().models(request)


async def test_the_deadline_counts_from_the_start_of_what_a_run_needs(tmp_path: Path) -> None:
    async with serving(server=Late(reply=steps)) as server:
        done = await run(*two_arms(server), *MANY, "--deadline", "1s", cwd=tmp_path)
    assert done.code == 4, done.err
    assert not server.asks


@pytest.mark.parametrize("limit", [("--max-turns", "12"), ("--max-tokens", "4000")])
async def test_a_budget_of_the_run_leaves_the_rest_for_a_resume(
    limit: tuple[str, str], tmp_path: Path
) -> None:
    async with endpoint() as server:
        done = await run(*two_arms(server), *MANY, *limit, cwd=tmp_path)
        assert done.code == 4, done.err
        assert "are spent" in done.err
        assert len(server.asks) < N_REQUESTS
        again = await run("resume", "out", "--display", "none", cwd=tmp_path)
        assert again.code == 0, again.err


async def test_what_was_spent_before_counts_in_a_resumed_run(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), *MANY, "--max-turns", "12", cwd=tmp_path)
        n_asked = len(server.asks)
        done = await run("resume", "out", "--max-turns", "12", cwd=tmp_path)
        assert done.code == 4, done.err
        assert len(server.asks) == n_asked


async def test_a_drained_investigation_stays_out_of_statistics(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), *MANY, "--max-turns", "12", cwd=tmp_path)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    left = [item for item in summary["investigations"] if item["stop_reason"] is None]
    assert left
    assert all(item["is_infrastructure"] for item in left)


async def test_a_deadline_that_is_none_is_refused(tmp_path: Path) -> None:
    done = await run("--deadline", "soon", "--out", "out", cwd=tmp_path)
    assert done.code == 2
    assert "11h30m" in done.err
    assert not (tmp_path / "out").exists()


async def test_a_journal_is_locked_before_it_is_read(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), *MANY, "--max-turns", "12", cwd=tmp_path)
        journal = tmp_path / "out" / "events.jsonl"
        with journal.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(b"half of an ev\n")  # what another writer has not finished
            file.flush()
            done = await run("resume", "out", cwd=tmp_path)
    assert done.code == 2
    assert "another process" in done.err
