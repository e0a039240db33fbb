"""Total memory of all workers: when it passes the bound, the largest one is ended.

The address-space limit of each worker does not bound their sum. What a worker has grown by since it
was ready is counted; what it shares with the zygote is not.
"""

import asyncio
import os
from pathlib import Path

import psutil

from engine.sandbox.forkserver import ForkServer

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


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process, 0 if that cannot be known."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:  # noqa: PTH123 - 1/4 the cost
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


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
                process.grown_bytes = resident_bytes(process.host_pid) - process.ready_bytes
        if sum(process.grown_bytes for process in processes) > self._total_bytes:
            largest = max(processes, key=lambda process: process.grown_bytes)
            mib = largest.grown_bytes >> 20
            largest.condemn(f"it held {mib:,} MiB, the most of all, when memory ran out")
        self._next = self._loop.call_later(_EVERY_S, self._look)

    def close(self) -> None:
        """Stop looking."""
        self._next.cancel()
