"""Files that are there whole or not at all, written piece by piece."""

import os
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO

import msgspec

from engine.errors import UsageError
from engine.manifest import part_beside

_encode = msgspec.json.Encoder().encode
_STREAMS = (1, 2)
_SPECIAL = ("/dev", "/proc")
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - files lie there, and none is made


@contextmanager
def whole_file(path: Path) -> Generator[IO[bytes]]:
    """Yield a file that takes the place of `path` when all is written; else nothing is left.

    A link stays, and what it leads to is replaced. What is there and is no file, a pipe or a
    device, is written into as it is; so is a file that a stream of this process leads to.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with _stream(path) or _replacement(path.resolve()) as file:
            yield file
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"{path}: cannot be written ({reason}). Name another place with --out."
        ) from error


def _stream(path: Path) -> IO[bytes] | None:
    """Open what is written into where it stands; None: it is a file, or is not there."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return None
    for fd in _STREAMS:
        if _is_at(fd, there):
            return os.fdopen(os.dup(fd), "wb")  # goes on where the stream stands
    if stat.S_ISREG(there.st_mode) and not any(map(_is_special, _ways(path))):
        return None
    return path.open("ab")


def _is_at(fd: int, there: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), there)
    except OSError:  # it is closed
        return False


def _ways(path: Path) -> Iterator[Path]:
    """Yield `path` and, while that is a link, what it leads to."""
    while True:
        path = path.parent.resolve() / path.name
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


def _is_special(path: Path) -> bool:
    return not path.is_relative_to(_SHARED_MEMORY) and any(map(path.is_relative_to, _SPECIAL))


@contextmanager
def _replacement(path: Path) -> Generator[IO[bytes]]:
    part = part_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()


def write_lines(path: Path, values: Iterable[object]) -> list[Path]:
    """Write `values` as lines of JSON to a whole file; no file where there are none.

    Returns what was written.

    Raises:
        UsageError: it cannot be written.
    """
    remaining = iter(values)
    first = next(remaining, None)
    if first is None:
        return []
    with whole_file(path) as file:
        for value in chain([first], remaining):
            write_line(file, value)
    return [path]


def write_line(file: IO[bytes], value: object) -> None:
    """Write `value` as one line of JSON."""
    file.write(_encode(value) + b"\n")


def encoded(value: object) -> bytes:
    """Return `value` as JSON."""
    return _encode(value)
