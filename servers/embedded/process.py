"""The child process of one server: its report, its death, its end.

The child leads a process group of its own, so a Ctrl-C at the terminal reaches only the parent.
Its standard input is a pipe that is never written to: the child ends when the pipe does.
"""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

from servers.logs import open_log

_GRACE_S = 5.0


class ChildServer(asyncio.SubprocessProtocol):
    """A running server. Made by `child_server`, whose exit ends it."""

    def __init__(self) -> None:
        """Belong to the running loop; nothing is started yet."""
        self._reported: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._exited = asyncio.Event()
        self._received = b""
        self._transport: asyncio.SubprocessTransport | None = None
        self._on_death: Callable[[], None] | None = None

    async def report(self) -> str | None:
        """Wait for the first line that the child prints; None if it ends without one."""
        return await self._reported

    def watch(self, on_death: Callable[[], None]) -> None:
        """Call `on_death` when the child ends without having been told to; at once if it has."""
        if self._exited.is_set():
            on_death()
        else:
            self._on_death = on_death

    @property
    def how_it_ended(self) -> str:
        """Say it in words: still running, exit code, or signal."""
        code = self._transport.get_returncode() if self._transport else None
        if code is None:
            return "it is still running"
        return f"it ended with exit code {code}" if code >= 0 else f"it was ended by signal {-code}"

    async def stop(self) -> None:
        """SIGTERM to the process group, then SIGKILL; a cancelled stop kills at once."""
        self._on_death = None
        self._signal(signal.SIGTERM)
        try:
            await self._wait(_GRACE_S)
        finally:
            self._signal(signal.SIGKILL)
            if self._transport:
                self._transport.close()
        await self._wait(_GRACE_S)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._exited.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._transport and not self._exited.is_set():
            with suppress(ProcessLookupError):
                os.killpg(self._transport.get_pid(), number)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport. Called by asyncio."""
        # Not every loop derives its own from the class that it implements: uvloop does not.
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Collect the first line. Called by asyncio."""
        del fd
        self._received += data
        if b"\n" in self._received:
            self._report(self._received.partition(b"\n")[0].decode())

    def process_exited(self) -> None:
        """Tell everybody who waits. Called by asyncio."""
        self._exited.set()
        self._report(None)
        if self._on_death:
            self._on_death()

    def _report(self, line: str | None) -> None:
        if not self._reported.done():
            self._reported.set_result(line)


@asynccontextmanager
async def child_server(
    command: Sequence[str], environment: Mapping[str, str], *, log: Path
) -> AsyncGenerator[ChildServer]:
    """Start `command` with stderr appended to `log`; nothing of it is left on exit.

    Raises:
        NotReadyError: the log cannot be written.
    """
    loop = asyncio.get_running_loop()
    with open_log(log) as stderr:
        _transport, child = await loop.subprocess_exec(
            ChildServer, *command, env=environment, stderr=stderr, start_new_session=True
        )
    try:
        yield child
    finally:
        await child.stop()
