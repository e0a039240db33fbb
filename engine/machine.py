"""What this process may use of the machine: a container or a job may have less than there is."""

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import psutil

_UNIFIED = ""
"""Controller of version 2, as /proc/self/cgroup names it; its folder is that of all groups."""
_MEMORY = (
    (_UNIFIED, "memory.max", ("anon", "shmem")),
    ("memory", "memory.limit_in_bytes", ("rss", "shmem")),
)
"""Of cgroups version 2 and 1: the controller, the file with the limit, and the words in memory.stat
for what is no copy of a file on a disk."""
_N_FIELDS = 3


class Cgroups(NamedTuple):
    """Where the kernel says what groups of processes may have."""

    folder: Path = Path("/sys/fs/cgroup")
    membership: Path = Path("/proc/self/cgroup")
    """Which groups this process is in."""

    def around(self, controller: str) -> Iterator[Path]:
        """Yield the folder of every group of `controller` that this process is in, inner first."""
        path = PurePosixPath(self._own().get(controller, "/").lstrip("/"))
        for each in (path, *path.parents):
            if ".." not in each.parts:
                yield self.folder / controller / each

    def _own(self) -> dict[str, str]:
        """Return controller -> path of the group.

        Source: cgroups(7), /proc/pid/cgroup.
        """
        try:
            lines = self.membership.read_text("utf-8").splitlines()
        except (OSError, ValueError):
            return {}
        fields = [line.split(":", 2) for line in lines]
        whole = [each for each in fields if len(each) == _N_FIELDS]
        return {name: path for _, names, path in whole for name in names.split(",")}


HERE = Cgroups()
"""Of this process."""


class Ram(NamedTuple):
    """How much there is, and how much of it is free or soon would be."""

    total_bytes: int
    available_bytes: int


def ram(cgroups: Cgroups = HERE) -> Ram:
    """Return the RAM that this process may use."""
    memory = psutil.virtual_memory()
    total, available = memory.total, memory.available
    for controller, limit, words in _MEMORY:
        for group in cgroups.around(controller):
            try:
                most = int((group / limit).read_text("ascii"))
                used = _used(group / "memory.stat", words)
            except (OSError, ValueError):  # no such group, or "max"
                continue
            total, available = min(total, most), max(0, min(available, most - used))
    return Ram(total, available)


def n_cores(cgroups: Cgroups = HERE) -> int:
    """Return the number of cores that this process may keep busy, part of one for a whole."""
    try:
        n_own = len(os.sched_getaffinity(0))
    except AttributeError:
        n_own = os.cpu_count() or 1
    return min([n_own, *(max(1, math.ceil(share)) for share in _shares(cgroups))])


def _used(stat: Path, words: Iterable[str]) -> int:
    """Read what a group and all below it use: version 1 counts these by names of their own."""
    figures = dict(line.split(maxsplit=1) for line in stat.read_text("ascii").splitlines())
    return sum(int(figures.get(f"total_{word}", figures.get(word, 0))) for word in words)


def _shares(cgroups: Cgroups) -> Iterator[float]:
    """Yield how many cores' time each group may take, where that is limited.

    Source: Linux documentation, cgroup-v2 (`cpu.max`) and sched-bwc (`cpu.cfs_quota_us`).
    """
    for group in cgroups.around(_UNIFIED):
        yield from _share(group / "cpu.max")
    for group in cgroups.around("cpu"):
        yield from _share(group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us")


def _share(*files: Path) -> Iterator[float]:
    try:
        quota, period = " ".join(file.read_text("ascii") for file in files).split()
        if int(quota) > 0:
            yield int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such group, or "max"
        return
