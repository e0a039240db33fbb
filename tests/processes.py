"""Processes below that of the tests."""

import psutil


def children() -> set[psutil.Process]:
    """All of them, without the trackers that multiprocessing starts at any time and keeps."""
    found = psutil.Process().children(recursive=True)
    return {child for child in found if not _is_tracker(child)}


def _is_tracker(process: psutil.Process) -> bool:
    try:
        return any("multiprocessing.resource_tracker" in part for part in process.cmdline())
    except psutil.Error:
        return False
