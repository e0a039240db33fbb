"""The directory of a new run: made, and taken away again if the run never began."""

import fcntl
import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from engine.errors import UsageError

_RUNS = Path("runs")
_SERVERS = "servers"
"""All that a run has in its directory before it begins: the logs of its servers."""
_LOCK = ".lock"
"""In it, held until the run ends: what a killed one left can be told from what one still needs."""


def default_directory(name: str) -> Path:
    """Make runs/<local time>-<name>, numbered if that is taken, and return it.

    Raises:
        UsageError: it cannot be made.
    """
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    try:
        _RUNS.mkdir(exist_ok=True)
        candidates = (_RUNS / (stem if n == 1 else f"{stem}-{n}") for n in count(1))
        return next(filter(_is_made, candidates))
    except OSError as error:
        raise _unwritable(_RUNS / stem, error) from error


def _is_made(path: Path) -> bool:
    """Make `path` and return whether it is ours: of those who try at once, one has it."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


@contextmanager
def new_directory(path: Path) -> Generator[Path]:
    """Make `path` for a run; if no manifest was written inside, leave nothing behind.

    What a run left that was killed before it began is taken over.

    Raises:
        UsageError: it exists and is not empty, is another run's, or cannot be made.
    """
    made = _make(path)
    with _claimed(path):
        _check_free(path)
        try:
            yield path
        finally:
            if not (path / "manifest.json").exists():
                _clear(path, made)


def _make(path: Path) -> list[Path]:
    """Create `path` and return the directories that had to be made, innermost first.

    Those of a default one count among them, whoever made them.
    """
    try:
        _check_free(path)
        parts = (path / _SERVERS, path, *path.parents)
        made = [part for part in parts if _RUNS in {part, part.parent} or not part.exists()]
        (path / _SERVERS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return made


def _check_free(path: Path) -> None:
    if path.exists() and (not path.is_dir() or {each.name for each in path.iterdir()} - {_SERVERS}):
        raise UsageError(
            f"--out {path}: already there and not empty. Name a new directory; "
            "what a run recorded is never overwritten."
        )


@contextmanager
def _claimed(path: Path) -> Generator[None]:
    """Keep `path` for this process as long as it lives."""
    fd = _locked(path)
    try:
        yield
    finally:
        (path / _SERVERS / _LOCK).unlink(missing_ok=True)
        os.close(fd)


def _locked(path: Path) -> int:
    try:
        fd = os.open(path / _SERVERS / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise UsageError(
            f"--out {path}: another process is starting a run there. Name another."
        ) from error
    return fd


def _unwritable(path: Path, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    return UsageError(f"--out {path}: cannot be written ({reason}). Name another.")


def _clear(path: Path, made: list[Path]) -> None:
    if path / _SERVERS in made:
        shutil.rmtree(path / _SERVERS, ignore_errors=True)
    for folder in made:
        with suppress(OSError):  # not empty, or a link
            folder.rmdir()
