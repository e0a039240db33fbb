"""Total memory of all workers: when it passes the bound, the largest one is ended.

The address-space limit of each worker does not bound their sum. What a worker has grown by since it
was ready is counted; what it shares with the zygote is not, and an array of the host that several
have mapped is counted once. Not seen: arrays that a worker was sent and has not read.
"""

import asyncio
import os
from operator import itemgetter
from pathlib import Path

import psutil

from engine.sandbox.forkserver import ForkServer
from engine.sandbox.process import Memory, Process

_EVERY_S = 0.25
_SHARE = 0.6
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def default_bytes() -> int:
    """Return the share of this machine's (or container's) free memory that workers may fill."""
    limits = [psutil.virtual_memory().available]
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(path.read_text("ascii")))
        except (OSError, ValueError):
            continue
    return int(_SHARE * min(limits))


def memory_of(pid: int) -> Memory:
    """Return what a process holds, nothing if that cannot be known."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:  # noqa: PTH123 - 1/4 the cost
            _size, resident, shared = file.read().split(maxsplit=3)[:3]
    except (OSError, ValueError):
        return Memory()
    return Memory(int(resident) * _PAGE_BYTES, int(shared) * _PAGE_BYTES)


class Watchdog:
    """Looks at the workers every quarter of a second while the sandbox is open."""

    def __init__(self, server: ForkServer, total_bytes: int) -> None:
        """End the largest worker of `server` whenever all together exceed `total_bytes`."""
        self._server = server
        self._total_bytes = total_bytes
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_later(_EVERY_S, self._look)

    def _look(self) -> None:
        processes = self._server.processes()
        for process in processes:
            if process.was_touched():
                process.grown = _grown(process)
        # Most looks end here: what is mapped by several matters only where memory is scarce.
        if sum(process.grown.resident_bytes for process in processes) > self._total_bytes:
            self._relieve(processes)
        self._next = self._loop.call_later(_EVERY_S, self._look)

    def _relieve(self, processes: list[Process]) -> None:
        shares = _shares_bytes(processes)
        if sum(shares) > self._total_bytes:
            share, largest = max(zip(shares, processes, strict=True), key=itemgetter(0))
            largest.condemn(f"it held {share >> 20:,} MiB, the most of all, when memory ran out")

    def close(self) -> None:
        """Stop looking."""
        self._next.cancel()


def _grown(process: Process) -> Memory:
    now, ready = memory_of(process.host_pid), process.ready
    return Memory(
        now.resident_bytes - ready.resident_bytes, max(0, now.shared_bytes - ready.shared_bytes)
    )


def _shares_bytes(processes: list[Process]) -> list[int]:
    """Return what each accounts for; all together, arrays count no more than once.

    Memory that is shared and was not sent by the host is the worker's own.
    """
    mapped = sum(process.arrays_bytes for process in processes)
    sent = {inode: size for process in processes for inode, size in process.sent.items()}
    part = min(1.0, sum(sent.values()) / mapped) if mapped else 1.0
    return [
        process.grown.resident_bytes - round((1 - part) * process.arrays_bytes)
        for process in processes
    ]
