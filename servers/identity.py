"""Whether a process is still the one that somebody wrote down: process ids come back."""

from pathlib import Path

import msgspec
import psutil

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SAME_START_S = 2.0
"""Where a system counts starts by its clock, they move when that is set."""


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """What tells a process from others that had its id before, or will have it."""

    boot: str
    """Linux's name for the time since it booted; empty elsewhere."""
    at: float
    """Start of the process: on Linux in clock ticks since it booted, which no setting of the clock
    moves; elsewhere in seconds since the epoch."""


def birth_of(pid: int) -> Birth | None:
    """Return when the process was born; None if there is none."""
    try:
        boot = _BOOT.read_text("ascii").strip()
        return Birth(boot=boot, at=_ticks(pid))
    except OSError:
        started = started_at(pid)
        return None if started is None else Birth(boot="", at=started)


def started_at(pid: int) -> float | None:
    """Return when the process was started, seconds since the epoch; None if there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def is_alive(pid: int, birth: Birth) -> bool:
    """Return whether the process with this id is the one born then, and has not ended."""
    found = birth_of(pid)
    if found is None or found.boot != birth.boot:
        return False
    if abs(found.at - birth.at) > (0 if birth.boot else _SAME_START_S):
        return False
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _ticks(pid: int) -> int:
    """Read the field `starttime`; the name of the program before it may hold anything.

    Source: proc_pid_stat(5), field 22.
    """
    after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2]
    return int(after_name.split()[19])
