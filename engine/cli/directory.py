"""The directory of a new run: made, and taken away again if the run never began."""

import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import UsageError


def default_directory(name: str) -> Path:
    """Return runs/<local time>-<name>, numbered if that is taken."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    candidates = (Path("runs") / (stem if n == 1 else f"{stem}-{n}") for n in range(1, 1000))
    return next(path for path in candidates if not path.exists())


@contextmanager
def new_directory(path: Path) -> Generator[Path]:
    """Make `path` for a run; if no manifest was written inside, leave nothing behind.

    Raises:
        UsageError: it exists and is not empty, or cannot be made.
    """
    made = _make(path)
    try:
        yield path
    finally:
        if not (path / "manifest.json").exists():
            _clear(path, made)


def _make(path: Path) -> list[Path]:
    """Create `path` and return the directories that had to be made, innermost first."""
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(
                f"--out {path}: already there and not empty. Name a new directory; "
                "what a run recorded is never overwritten."
            )
        missing = [part for part in (path, *path.parents) if not part.exists()]
        path.mkdir(parents=True, exist_ok=True)
        (path / "servers").mkdir()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"--out {path}: cannot be written ({reason}). Name another.") from error
    return missing


def _clear(path: Path, made: list[Path]) -> None:
    shutil.rmtree(path / "servers", ignore_errors=True)
    for folder in made:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
