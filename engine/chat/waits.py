"""Waits before a request is sent, which end early once it may not be sent any more."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from engine.chat.patience import Sleep
from engine.errors import EngineError

Check = Callable[[], None]
"""Raises what keeps a request from being sent."""


def unchecked() -> None:
    """Let everything be sent."""


class Waits:
    """All that is waited for at one backend. Belongs to the event loop that made it."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        """Wait by `sleep` where nothing but time is waited for."""
        self.sleep = sleep
        self._waiting: dict[asyncio.Timeout, Check] = {}

    @asynccontextmanager
    async def checked(self, check: Check) -> AsyncGenerator[None]:
        """Wait in the block no longer than until `check` raises.

        Raises:
            EngineError: what `check` raised, before the wait or in the middle of it.
        """
        check()
        try:
            async with asyncio.timeout(None) as wait:
                self._waiting[wait] = check
                try:
                    yield
                finally:
                    del self._waiting[wait]
        except TimeoutError:
            check()
            raise

    async def pause(self, pause_s: float, check: Check) -> None:
        """Sleep, no longer than until `check` raises.

        Raises:
            EngineError: what `check` raised.
        """
        async with self.checked(check):
            await self.sleep(pause_s)

    def recheck(self) -> None:
        """End every wait whose check raises by now."""
        now = asyncio.get_running_loop().time()
        for wait, check in self._waiting.items():
            try:
                check()
            except EngineError:
                if not wait.expired():
                    wait.reschedule(now)
