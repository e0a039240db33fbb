"""Whether a process is still the one that somebody wrote down: process ids come back."""

import psutil

_SAME_START_S = 2.0
"""The system counts starts from the moment it booted, and moves that moment with its clock."""


def started_at(pid: int) -> float | None:
    """Return when the process was started, seconds since the epoch; None if there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def is_alive(pid: int, started: float) -> bool:
    """Return whether the process with this id is the one started then, and has not ended."""
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - started) < _SAME_START_S
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
