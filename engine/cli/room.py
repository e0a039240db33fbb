"""Room on the disk of a run: it is stopped while what is under way can still be recorded."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from engine.cli.console import say
from engine.cli.ticking import every
from engine.drain import Drain

_LOOK_EVERY_S = 5.0
_LEAST_BYTES = 32 << 20
"""For replies that are under way, and for the files that are derived from the journal."""


@contextmanager
def room_kept(directory: Path, drain: Drain, *, least_bytes: int = _LEAST_BYTES) -> Generator[None]:
    """Drain the run when its disk has less than `least_bytes` free, until the block ends."""

    def look() -> None:
        free_bytes = shutil.disk_usage(directory).free
        if free_bytes < least_bytes and drain.reason is None:
            free = f"{free_bytes / 2**20:.1f} MiB are free on the disk of {directory}"
            say(f"{free}: finishing the turns that are under way. Make room, then resume.")
            drain.begin("the disk is nearly full")

    with every(_LOOK_EVERY_S, look):
        yield
