"""A namespace that is being brought back when the run is to stop."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from engine.drain import Drain
from engine.errors import DrainedError
from engine.events import Event, TurnEnded
from engine.loop import investigate
from engine.sandbox import Answer, Tier
from engine.transcript import Execution
from tests.engine.investigating import CASE, DONE, Kept, again, parts_with, run_block

TALK = [*(run_block(f"print({n})") for n in range(4)), DONE]


class Stopping:
    """A sandbox, and its only workspace, that has the run stopped while its first block runs."""

    tier = Tier.SEALED

    def __init__(self, drain: Drain) -> None:
        self.ran: list[str] = []
        self._drain = drain

    @asynccontextmanager
    async def open(
        self, *, modules: Mapping[str, str], answer: Answer, seed: int | None = None
    ) -> AsyncGenerator["Stopping"]:
        del modules, answer, seed
        yield self

    def give(self, modules: Mapping[str, str]) -> None:
        del modules

    async def execute(self, code: str) -> Execution:
        self.ran.append(code)
        self._drain.begin("interrupted")
        return Execution(code=code, output="")


async def test_a_run_that_is_to_stop_waits_for_one_recorded_block_at_most() -> None:
    drain, after = Drain(), Kept()
    sandbox = Stopping(drain)
    async with parts_with(TALK) as (parts, kept):
        await investigate(CASE, parts)
        going = replace(again(parts, parts.chat), sandbox=sandbox, drain=drain, record=after)
        with pytest.raises(DrainedError):
            await investigate(CASE, going, before_the_last_turn(kept.events))
    assert sandbox.ran == ["print(0)\n"]
    assert not after.events, "it is taken up again as if it had not been"


def before_the_last_turn(events: list[Event]) -> list[Event]:
    """Return what is recorded until the turn before the last one ended."""
    ended = [n for n, event in enumerate(events) if isinstance(event, TurnEnded)]
    return events[: ended[-2] + 1]
