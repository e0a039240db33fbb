"""Files that are there whole or not at all, written piece by piece."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from engine.errors import RunError

_encode = msgspec.json.Encoder().encode


@contextmanager
def whole_file(path: Path) -> Generator[IO[bytes]]:
    """Yield a file that takes the place of `path` when all is written; else nothing is left.

    Raises:
        RunError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror}).") from error
    finally:
        part.unlink(missing_ok=True)


def write_line(file: IO[bytes], value: object) -> None:
    """Write `value` as one line of JSON."""
    file.write(_encode(value) + b"\n")


def encoded(value: object) -> bytes:
    """Return `value` as JSON."""
    return _encode(value)
