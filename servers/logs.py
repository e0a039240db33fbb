"""The log file of a server."""

from pathlib import Path
from typing import BinaryIO

from engine.errors import NotReadyError

_FULL_BYTES = 16 << 20
"""Size of a log that is put aside before the next start."""


def open_log(path: Path) -> BinaryIO:
    """Open a log to append to it; what it holds from long before is put aside.

    Raises:
        NotReadyError: it cannot be written; names the remedy.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _FULL_BYTES:
            path.replace(path.with_suffix(".old.log"))
        return path.open("ab")
    except OSError as error:
        raise NotReadyError(
            f"{path}: the log of a server cannot be written ({error.strerror}). Make room on its "
            "disk, or name a directory that can be written: --logs of `serve`, --out of a run; "
            "without them XDG_CACHE_HOME says where it is."
        ) from error
