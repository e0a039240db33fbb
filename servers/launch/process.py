"""A server as a process that leaves nothing behind: its keeper, its session, its log file."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from servers.logs import open_log

_KEEPER = Path(__file__).with_name("keeper.py")
_HURRY_S = 2.0
"""Time a server has to end once the launcher is gone."""
_KEEPER_S = 4.0
"""Time beyond the server's own that its keeper has to see the end of all of it."""


class ServerProcess:
    """A running server and everything that it started."""

    def __init__(self, keeper: Process, term_s: float) -> None:
        """Take over the keeper of a server that was just started."""
        self._keeper = keeper
        self._term_s = term_s

    @classmethod
    async def start(
        cls, argv: Sequence[str], environment: Mapping[str, str], *, log: Path, term_s: float
    ) -> Self:
        """Start the program in a session of its own, with both its outputs appended to `log`.

        Raises:
            NotReadyError: the log cannot be written.
        """
        with open_log(log) as output:
            keeper = await asyncio.create_subprocess_exec(
                *(sys.executable, "-IS", str(_KEEPER), str(term_s), str(_HURRY_S), *argv),
                stdin=PIPE,
                stdout=output.fileno(),
                stderr=output.fileno(),
                env=dict(environment),
                start_new_session=True,
            )
        return cls(keeper, term_s)

    @property
    def pid(self) -> int:
        """The keeper's process id, which is the id of the session too."""
        return self._keeper.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code of the server; None while it runs."""
        return self._keeper.returncode

    async def wait(self) -> int:
        """Wait until the server and all that it started have ended; return its exit code."""
        code = await self._keeper.wait()
        self.kill()
        return code

    async def stop(self) -> None:
        """End the server: SIGTERM, time to end, SIGKILL to all of it."""
        try:
            self._ask_to_stop()
            async with asyncio.timeout(self._term_s + _KEEPER_S):
                await self._keeper.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()
        await self._keeper.wait()

    def kill(self) -> None:
        """End the server and all that it started at once, without a word.

        A keeper that ended by itself has seen the end of everyone; its session may be another's.
        """
        has_ended = self._keeper.returncode is not None and self._keeper.returncode >= 0
        if not has_ended:
            kill_session(self.pid)

    def _ask_to_stop(self) -> None:
        if self._keeper.returncode is None and self._keeper.stdin is not None:
            self._keeper.stdin.write(b"stop\n")


def kill_session(session: int) -> None:
    """Kill every process of the session with this id."""
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == session:
                os.kill(pid, signal.SIGKILL)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
