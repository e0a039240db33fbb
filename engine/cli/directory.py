"""The directory of a new run: made, and taken away again if the run never began."""

import fcntl
import os
import re
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from errno import ENOENT
from itertools import count
from pathlib import Path

from engine.errors import UsageError

_RUNS = Path("runs")
_SERVERS = "servers"
"""What a run has in its directory before it begins: the logs of its servers."""
_DRAFT = re.compile(r"purity\.json|\.[0-9a-f]{16}\.part")
"""What a run writes before its manifest, or has not whole yet: a file without worth until then."""
_LOCK = ".lock"
"""In it, held until the run ends: what a killed one left can be told from what one still needs."""
_MOST_TRIES = 100


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
    made, fd = _claimed(path)
    try:
        _check_free(path)
        _drop_drafts(path)
        yield path
    finally:
        is_begun = (path / "manifest.json").exists()
        if not is_begun:
            _drop_drafts(path)
        if not is_begun and path / _SERVERS in made:
            _drop_logs(path / _SERVERS)
        (path / _SERVERS / _LOCK).unlink(missing_ok=True)
        if not is_begun:
            _drop_empty(made)
        os.close(fd)


def _claimed(path: Path) -> tuple[list[Path], int]:
    """Return the directories that were made for `path`, and its lock; it is ours until that ends.

    One that is starting there may take all away at the same time: then it is made once more.

    Raises:
        UsageError: it is not empty, is another run's, or cannot be made.
    """
    made: list[Path] = []
    for _ in range(_MOST_TRIES):
        made = list(dict.fromkeys((*_make(path), *made)))
        fd = _locked(path / _SERVERS / _LOCK, path)
        if fd is not None:
            return sorted(made, key=lambda part: len(part.parts), reverse=True), fd
    raise _unwritable(path, FileNotFoundError(ENOENT, os.strerror(ENOENT)))


def _make(path: Path) -> list[Path]:
    """Create `path` and return the directories that had to be made, innermost first.

    Those of a default one count among them, whoever made them.
    """
    parts = (path / _SERVERS, path, *path.parents)
    try:
        made = [part for part in parts if _RUNS in {part, part.parent} or not part.exists()]
        with suppress(FileNotFoundError):  # taken away meanwhile: the next try makes it
            _check_free(path)
            (path / _SERVERS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return made


def _check_free(path: Path) -> None:
    """Raise UsageError if anything is in `path` but what a run leaves that was never begun."""
    if path.exists() and not (path.is_dir() and all(map(_is_left, path.iterdir()))):
        raise UsageError(
            f"--out {path}: already there and not empty. Name a new directory; "
            "what a run recorded is never overwritten."
        )


def _is_left(entry: Path) -> bool:
    if _DRAFT.fullmatch(entry.name):
        return entry.is_file()
    return entry.name == _SERVERS and all(
        each.name == _LOCK or each.suffix == ".log" for each in entry.iterdir()
    )


def _locked(lock: Path, path: Path) -> int | None:
    """Return the `lock` of the directory `path`, held; None: it was taken away meanwhile.

    Raises:
        UsageError: another process holds it, or it cannot be made or held.
    """
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        _hold(fd, path)
    except UsageError:
        os.close(fd)
        raise
    if _is_at(fd, lock):
        return fd
    os.close(fd)
    return None


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _hold(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _taken(path) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"--out {path}: its file system cannot lock files ({reason}). Name a directory on "
            "another one; a finished run can be copied there."
        ) from error


def _taken(path: Path) -> UsageError:
    return UsageError(f"--out {path}: another process is starting a run there. Name another.")


def _unwritable(path: Path, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    return UsageError(f"--out {path}: cannot be written ({reason}). Name another.")


def _drop_drafts(path: Path) -> None:
    """Take away what a run that never began had written, where nothing else is in `path`."""
    with suppress(OSError):
        entries = list(path.iterdir())
        for each in entries if all(map(_is_left, entries)) else ():
            if _DRAFT.fullmatch(each.name):
                each.unlink()


def _drop_logs(folder: Path) -> None:
    """Take away what is in `folder`, but for the lock: until that goes, nobody else is there."""
    with suppress(OSError):
        for each in folder.iterdir():
            if each.name != _LOCK:
                each.unlink()


def _drop_empty(made: list[Path]) -> None:
    for folder in made:
        with suppress(OSError):  # not empty, or a link
            folder.rmdir()
