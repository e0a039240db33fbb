"""Total memory of all workers: when it passes the bound, the largest one is ended.

The address-space limit of each worker does not bound their sum. What a worker has grown by since it
was ready is counted, but not what it shares with the zygote, nor the pages of libraries, which all
share. An array of the host is counted once, as long as anybody holds it, read or not.
"""

import asyncio
import os

from engine.machine import HERE, Cgroups, ram
from engine.sandbox.forkserver import ForkServer
from engine.sandbox.process import Memory, Process, told_of
from engine.sandbox.shelf import Shelf

_EVERY_S = 0.25
_SHARE = 0.6
_LEAST_BYTES = 128 << 20
"""In less, no block would get anywhere."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_LIBRARIES_BYTES = 128 << 20
"""Pages of files that a worker may come to share with all others."""


def default_bytes(cgroups: Cgroups = HERE) -> int:
    """Return the share of the free memory that workers may fill."""
    return max(_LEAST_BYTES, int(_SHARE * ram(cgroups).available_bytes))


def memory_of(pid: int) -> Memory:
    """Return what a process holds, nothing if that cannot be known."""
    try:
        _size, resident, shared = told_of(f"/proc/{pid}/statm").split(maxsplit=3)[:3]
    except (OSError, ValueError):
        return Memory()
    return Memory((int(resident) - int(shared)) * _PAGE_BYTES, int(shared) * _PAGE_BYTES)


class Watchdog:
    """Looks at the workers every quarter of a second while the sandbox is open."""

    def __init__(self, server: ForkServer, shelf: Shelf, total_bytes: int) -> None:
        """End the largest worker of `server` whenever all together exceed `total_bytes`.

        The arrays that they hold are on `shelf`.
        """
        self._server = server
        self._shelf = shelf
        self._total_bytes = total_bytes
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_later(_EVERY_S, self._look)

    def _look(self) -> None:
        processes = self._server.processes()
        for process in processes:
            if process.has_computed():
                process.grown_bytes = _grown_bytes(process)
        # Most looks end here: who holds which array matters only where memory is scarce.
        if self._is_exceeded(processes):
            self._shelf.shed()
            if processes and self._is_exceeded(processes):
                self._relieve(processes)
        self._next = self._loop.call_later(_EVERY_S, self._look)

    def _is_exceeded(self, processes: list[Process]) -> bool:
        grown_bytes = sum(process.grown_bytes for process in processes)
        return grown_bytes + self._shelf.size_bytes > self._total_bytes

    def _relieve(self, processes: list[Process]) -> None:
        shares_bytes = self._shelf.shares_bytes()
        for process in processes:
            shares_bytes[process.serial] += process.grown_bytes
        largest = max(processes, key=lambda process: shares_bytes[process.serial])
        share = shares_bytes[largest.serial] >> 20
        largest.condemn(f"it held {share:,} MiB, the most of all, when memory ran out")

    def close(self) -> None:
        """Stop looking."""
        self._next.cancel()


def _grown_bytes(process: Process) -> int:
    """Return what it holds by itself beyond what it began with.

    Shared memory that is neither a library's nor was sent by the host is its own, too.
    """
    now, ready = memory_of(process.host_pid), process.ready
    begun_bytes = ready.shared_bytes + process.sent_bytes + _LIBRARIES_BYTES
    return max(0, now.own_bytes - ready.own_bytes) + max(0, now.shared_bytes - begun_bytes)
