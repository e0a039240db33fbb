"""The time of one block. Its clock runs only while it holds a core and is not waiting for us.

Between blocks, and while the host looks for an answer, a worker is stopped: what a block left
behind, or a block that only said that it is done or that it asks, computes on nobody's time.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

from engine.sandbox.cores import Cores, Places
from engine.sandbox.process import Process
from engine.sandbox.protocol import Frame, FromWorker

_BRIEF_S = 0.005
"""A question answered within this keeps its core."""


class Stint:
    """One block's hold on a core: enter it with `async with`, then send, receive and rest."""

    def __init__(self, cores: Cores, process: Process) -> None:
        """Compute on one of `cores` in `process`."""
        self._cores = cores
        self._process = process
        self._clock = time.monotonic  # that of uvloop's loop knows whole milliseconds only
        self._past_s = 0.0
        self._since: float | None = None
        self._place: Places | None = None

    @property
    def used_s(self) -> float:
        """Seconds that the block has computed."""
        return self._past_s + (0.0 if self._since is None else self._clock() - self._since)

    async def __aenter__(self) -> Self:
        """Wait for a core."""
        await self._take()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Stop the worker and return the core."""
        self._stop()
        self._lend()

    async def send(self, frame: Frame, fd: int = -1) -> None:
        """Send one frame, and `fd` with it; the worker, if it is stopped, goes on with it.

        Stopped until it is there, the worker wakes once and not twice.

        Raises:
            LostError, ViolationError, ValueError: see `Channel.send`.
        """
        await self._process.channel.send(frame, fd, when_begun=self._process.go_on)

    async def receive(self, limit_s: float) -> FromWorker:
        """Wait for the worker's next frame, giving way to others between slices.

        Raises:
            TimeoutError: the block has computed for `limit_s` seconds in all.
        """
        while True:
            try:
                return await self._process.channel.receive(
                    min(self._slice_s(), limit_s - self.used_s)
                )
            except TimeoutError:
                if self.used_s >= limit_s:
                    raise
            if self._has_to_give_way():
                await self._give_way()

    @asynccontextmanager
    async def rest(self) -> AsyncGenerator[None]:
        """Stop the clock while the host answers a question.

        If that takes long, the worker is stopped, too, until the answer is sent, and its core lent.
        """
        self._stop()
        later = asyncio.get_running_loop().call_later(_BRIEF_S, self._lend)
        try:
            yield
        finally:
            later.cancel()
        await self._take()

    def _slice_s(self) -> float:
        return self._cores.places(self._past_s).slice_s

    def _has_to_give_way(self) -> bool:
        places = self._cores.places(self.used_s)
        return places is not self._place or places.is_wanted(self.used_s)

    async def _give_way(self) -> None:
        self._stop()
        self._lend()
        await self._take()
        self._process.go_on()

    async def _take(self) -> None:
        if self._place is None:
            places = self._cores.places(self._past_s)
            await places.take(self._past_s)
            self._place = places
        self._since = self._clock()

    def _lend(self) -> None:
        self._process.pause()
        if self._place is not None:
            self._place.give()
            self._place = None

    def _stop(self) -> None:
        self._past_s = self.used_s
        self._since = None
