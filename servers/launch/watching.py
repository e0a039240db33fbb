"""Keeps one started server alive: waits for its death, starts it again, not without end."""

import asyncio
from time import monotonic

from engine.errors import NotReadyError
from servers.launch.starting import Running, Starter
from servers.launch.values import Patience, Progress, State, Tell


class KeptServer:
    """A server under watch. Its address stays the same over restarts."""

    def __init__(
        self, running: Running, *, starter: Starter, patience: Patience, tell: Tell
    ) -> None:
        """Take over a server that is ready."""
        self._running = running
        self._starter = starter
        self._patience = patience
        self._tell = tell
        self._since = monotonic()

    @property
    def running(self) -> Running:
        """The server as it is now."""
        return self._running

    async def watch(self) -> None:
        """Restart the server whenever it dies, until the attempts are used up."""
        for attempt in range(self._patience.n_restarts):
            await self._until_dead()
            await asyncio.sleep(self._patience.backoff_s * 2**attempt)
            await self._restart()
        await self._until_dead()
        self._say("lost", f"died after {self._patience.n_restarts} restarts")

    async def stop(self) -> None:
        """End the server."""
        process = self._running.process
        await process.stop()
        self._say("stopped", f"exit code {process.exit_code}")

    async def _until_dead(self) -> None:
        code = await self._running.process.wait()
        self._say("died", f"exit code {code}; log: {self._running.log}")

    async def _restart(self) -> None:
        running = self._running
        try:
            self._running = await self._starter.start(running.start, port=running.port)
        except NotReadyError as error:
            self._say("died", str(error))
            return
        self._since = monotonic()

    def _say(self, state: State, detail: str) -> None:
        elapsed_s = monotonic() - self._since
        model = self._running.start.model
        self._tell(Progress(model=model, state=state, elapsed_s=elapsed_s, detail=detail))
