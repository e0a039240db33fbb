"""A gate in time that a test turns on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from engine.chat.admission import Gate


class Dial:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, pause_s: float) -> None:
        until_s = self.now_s + pause_s
        while self.now_s < until_s:
            await asyncio.sleep(0)


@asynccontextmanager
async def queueing(gate: Gate, *ranks: int) -> AsyncGenerator[list[int]]:
    """Let all `ranks` come to a gate that is kept; yield those that were let in, in order."""
    let_in: list[int] = []

    async def come(rank: int) -> None:
        await gate.enter(rank)
        let_in.append(rank)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(gate.keep()), *(group.create_task(come(r)) for r in ranks)]
        await settle()
        yield let_in
        for task in tasks:
            task.cancel()


async def settle() -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(20):
        await asyncio.sleep(0)
