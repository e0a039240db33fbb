"""Runs killed at any moment, resumed, and held against one that was left alone."""

import asyncio
import random
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from engine.events import CompletionReceived
from engine.journal import read_events
from tests.cli.program import endpoint, program, run, two_arms
from tests.faults.server import FaultyServer

_WITHIN_S = 300
_TURNS = 5
_LATENCY_S = 0.02
_PASSING = frozenset(
    {"started", "ended", "sent", "received", "duration_s", "revivals", "revived_before"}
)
"""What may differ in a transcript: times, and that it was taken up again."""


class Verdict(NamedTuple):
    """What one kill cost."""

    n_recorded: int
    """Completions in the journal when the run was killed."""
    n_asked_twice: int
    """Requests of the resumed run beyond those that were still missing."""
    n_different: int
    """Transcripts that are lost, or differ in more than times."""

    @property
    def is_clean(self) -> bool:
        """Nothing was lost, nothing asked for again."""
        return self.n_asked_twice == self.n_different == 0


class Killing:
    """Kills runs of `n_investigations` in `folder`, one after another."""

    def __init__(self, folder: Path, n_investigations: int) -> None:
        """Split the investigations between two arms: there is an even number of them."""
        assert n_investigations % 2 == 0, n_investigations
        self._folder = folder
        self._n_turns = n_investigations * _TURNS
        replicates = str(n_investigations // 2)
        self._flags = ("--replicates", replicates, "--display", "none", "--out")
        self._n_bytes = 0
        self._whole: dict[str, object] = {}

    async def leave_alone(self) -> None:
        """Make the run that all others are held against."""
        async with endpoint(latency_s=_LATENCY_S) as server:
            done = await run(*two_arms(server), *self._flags, "whole", cwd=self._folder)
        assert done.code == 0, done.err
        self._whole = _transcripts(self._folder / "whole")
        self._n_bytes = (self._folder / "whole" / "events.jsonl").stat().st_size

    async def kill(self, name: str, chance: random.Random) -> Verdict:
        """Kill one run at a random moment, resume it, and tell what that cost."""
        out = self._folder / name
        async with endpoint(latency_s=_LATENCY_S) as server, asyncio.timeout(_WITHIN_S):
            await self._run_and_kill(server, out, chance)
            n_asked, n_recorded = len(server.asks), _n_recorded(out)
            done = await run("resume", name, "--display", "none", cwd=self._folder)
            assert done.code == 0, done.err
            n_missing = self._n_turns - n_recorded
            n_twice = len(server.asks) - n_asked - n_missing
        return Verdict(n_recorded, n_twice, _n_different(self._whole, _transcripts(out)))

    async def _run_and_kill(self, server: FaultyServer, out: Path, chance: random.Random) -> None:
        journal, n_bytes = out / "events.jsonl", chance.random() * self._n_bytes
        arguments = (*two_arms(server), *self._flags, out.name)
        async with program(*arguments, cwd=self._folder) as process:
            while not journal.exists() or journal.stat().st_size < n_bytes:
                await asyncio.sleep(0.001)
            await asyncio.sleep(chance.random() * _LATENCY_S)
            with suppress(ProcessLookupError):  # it has ended meanwhile
                process.kill()
        await server.until_in_flight(0)


def _n_recorded(out: Path) -> int:
    events = read_events(out / "events.jsonl")
    return sum(isinstance(event, CompletionReceived) for event in events)


def _transcripts(out: Path) -> dict[str, object]:
    return {
        path.name: _lasting(msgspec.json.decode(path.read_bytes()))
        for path in (out / "transcripts").iterdir()
    }


def _lasting(value: object) -> object:
    """Return `value` without what may differ."""
    match value:
        case dict():
            entries = cast("dict[str, object]", value)
            return {key: _lasting(each) for key, each in entries.items() if key not in _PASSING}
        case list():
            return [_lasting(each) for each in cast("list[object]", value)]
        case _:
            return value


def _n_different(whole: dict[str, object], found: dict[str, object]) -> int:
    return sum(
        msgspec.json.encode(whole.get(name)) != msgspec.json.encode(found.get(name))
        for name in whole.keys() | found.keys()
    )
