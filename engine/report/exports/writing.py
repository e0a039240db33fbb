"""Files that are there whole or not at all, written piece by piece."""

import stat
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO

import msgspec

from engine.errors import UsageError

_encode = msgspec.json.Encoder().encode


@contextmanager
def whole_file(path: Path) -> Generator[IO[bytes]]:
    """Yield a file that takes the place of `path` when all is written; else nothing is left.

    A link stays, and what it leads to is replaced. What is there and is no file, a pipe or a
    device, is written into as it is.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with path.open("wb") if _is_stream(path) else _replacement(path.resolve()) as file:
            yield file
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"{path}: cannot be written ({reason}). Name another place with --out."
        ) from error


def _is_stream(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


@contextmanager
def _replacement(path: Path) -> Generator[IO[bytes]]:
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
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
