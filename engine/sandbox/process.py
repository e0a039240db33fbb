"""A worker as the host holds it."""

import asyncio
import os
import signal
from functools import cached_property
from typing import NamedTuple

from engine.errors import SandboxError
from engine.sandbox.channel import Channel

_EXIT_S = 10.0
_TOLD_BYTES = 4096


class Memory(NamedTuple):
    """What a process holds in RAM."""

    own_bytes: int = 0
    """Of no file."""
    shared_bytes: int = 0
    """A file's, or a memory file's."""


class Process:
    """One worker: its channel, its output, its life."""

    def __init__(self, serial: int, channel: Channel, printed_fd: int) -> None:
        """Own the host's end of the channel and the output file.

        No other worker ever has its `serial`.
        """
        loop = asyncio.get_running_loop()
        self.serial = serial
        self.channel = channel
        self.printed_fd = printed_fd
        self.exited: asyncio.Future[int] = loop.create_future()
        """Exit code, or minus the signal, once the worker is gone."""
        self.forked: asyncio.Future[None] = loop.create_future()
        """Done once it is born; a `SandboxError` if that will not be."""
        self.ready = Memory()
        """When it became ready."""
        self.grown_bytes = 0
        """What it was last seen to hold by itself beyond that, without the arrays of the host."""
        self.sent_bytes = 0
        """Size of all arrays that it was ever sent."""
        self._pid = 0
        self._pidfd = -1
        self._is_ended = False
        self._is_closed = False
        self._is_running = False
        self._has_computed = False
        self._doom = ""

    def born(self, pid: int, pidfd: int) -> None:
        """Learn how to signal it; `pidfd` is -1 where the kernel has none."""
        self._pid, self._pidfd = pid, pidfd
        if self._is_closed:
            self._close_fds()
        elif not self.forked.done():
            self.forked.set_result(None)

    def unborn(self, reason: str) -> None:
        """Learn that it will never compute."""
        if not self._is_closed and not self.forked.done():
            self.forked.set_exception(SandboxError(reason))

    @cached_property
    def host_pid(self) -> int:
        """Its process id as this process sees it, 0 if that cannot be known; it must be born."""
        if self._pidfd < 0:
            return self._pid
        try:
            told = told_of(f"/proc/self/fdinfo/{self._pidfd}")
            return int(told.partition(b"\nPid:")[2].split()[0])
        except (OSError, ValueError, IndexError):
            return 0

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it is gone."""
        if self.exited.done() or not self._pid:
            return
        try:
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                os.kill(self._pid, number)
        except ProcessLookupError:
            return

    def go_on(self) -> None:
        """Let it compute."""
        if not self._is_running:
            self._is_running = self._has_computed = True
            self.signal(signal.SIGCONT)

    def pause(self) -> None:
        """Keep it from computing."""
        self.signal(signal.SIGSTOP)
        self._is_running = False

    def has_computed(self) -> bool:
        """Tell whether it has computed since this was last asked."""
        has, self._has_computed = self._has_computed, self._is_running
        return has

    def condemn(self, reason: str) -> None:
        """End it for a reason that the model shall read."""
        self._doom = self._doom or reason
        self.signal(signal.SIGKILL)

    @property
    def is_ended(self) -> bool:
        """True once it was ended or has ended itself."""
        return self._is_ended or self.exited.done()

    async def end(self) -> str:
        """Kill it, wait until it is gone, and return how it ended."""
        self._is_ended = True
        self.signal(signal.SIGKILL)
        await asyncio.wait((self.exited,), timeout=_EXIT_S)
        status = self.exited.result() if self.exited.done() else None
        return self._doom or f"the process was ended{_cause(status)}"

    def close(self) -> None:
        """Let go of its descriptors; what it printed cannot be read any more."""
        self._is_closed = True
        self.channel.close()
        self._close_fds()

    def _close_fds(self) -> None:
        for fd in (self.printed_fd, self._pidfd):
            if fd >= 0:
                os.close(fd)
        self.printed_fd = self._pidfd = -1


def told_of(path: str) -> bytes:
    """Return a short file of /proc, in one read: a file object would cost twice as much.

    Raises:
        OSError: there is none.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _TOLD_BYTES)
    finally:
        os.close(fd)


def _cause(status: int | None) -> str:
    if status is None:
        return ""
    if status >= 0:
        return f" by its own code (exit status {status})"
    try:
        return f" by {signal.Signals(-status).name}"
    except ValueError:
        return f" by signal {-status}"
