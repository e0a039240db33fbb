"""The header of a GGUF file: what the model is, and how large the file must be.

Weights are not read. Source: the GGUF specification (ggml-org/ggml, docs/gguf.md, version 3,
2026-11); bytes per block of the quantised types: the structures in ggml-common.h (2026-11).
"""

import mmap
import struct
from math import prod
from pathlib import Path
from typing import NamedTuple

from servers.embedded.files import DamagedFileError

Value = int | float | bool | str | tuple[int | float | bool, ...]

_VERSIONS = (2, 3)
_ALIGNMENT = 32
_MOST_FIELDS = 100_000
_MOST_KEPT = 4096
"""Numbers of a list that are kept: one for each layer, not one for each word."""
_STRING, _ARRAY = 8, 9
_SCALARS: dict[int, str] = dict(
    zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True)
)
_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    20: (32, 18),
    23: (256, 136),
    30: (1, 2),
}
"""Type of a tensor -> weights per block, bytes per block; of any other type only the first byte
must exist."""


class Tensor(NamedTuple):
    """One tensor that the header lists."""

    name: str
    n_items: int
    end_bytes: int
    """Where it ends at the least, from the start of the data."""


class Header(NamedTuple):
    """What a GGUF file says of itself."""

    fields: dict[str, Value]
    """Single values and short lists of numbers, longer ones empty; of a list of anything else, how
    long it is."""
    tensors: tuple[Tensor, ...]
    data_starts: int
    """Bytes from the start of the file."""

    @property
    def least_bytes(self) -> int:
        """The least size that the file can have."""
        return self.data_starts + max((each.end_bytes for each in self.tensors), default=0)


def read_header(file: Path) -> Header:
    """Read the header of a GGUF file.

    Raises:
        DamagedFileError: it is none, or is cut off within the header.
    """
    if file.stat().st_size < _LEAST_BYTES:
        msg = f"cut off at {file.stat().st_size} bytes, at least {_LEAST_BYTES} are expected"
        raise DamagedFileError(msg)
    with file.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _header(_Cursor(data))
        except (struct.error, KeyError, OverflowError, RecursionError) as error:
            msg = "the GGUF header is damaged or cut off"
            raise DamagedFileError(msg) from error


def check_gguf(file: Path) -> None:
    """Raise DamagedFileError unless `file` is GGUF and holds all the data its header promises."""
    least_bytes, size_bytes = read_header(file).least_bytes, file.stat().st_size
    if size_bytes < least_bytes:
        msg = f"cut off at {size_bytes} bytes, at least {least_bytes} are expected"
        raise DamagedFileError(msg)


_LEAST_BYTES = 24


class _Cursor:
    """Reads little-endian values from mapped bytes, without copying what is skipped."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.position = 0

    def take(self, code: str) -> int:
        """Return the next number; `code` is its `struct` format."""
        (value,) = struct.unpack_from("<" + code, self._data, self.position)
        self.skip(struct.calcsize("<" + code))
        return value

    def text(self) -> str:
        n_bytes = self.take("Q")
        start = self.position
        self.skip(n_bytes)
        return self._data[start : self.position].decode(errors="replace")

    def skip(self, n_bytes: int) -> None:
        self.position += n_bytes
        if self.position > len(self._data):
            raise OverflowError


def _header(cursor: _Cursor) -> Header:
    if cursor.take("I") != int.from_bytes(b"GGUF", "little"):
        msg = "not a GGUF file"
        raise DamagedFileError(msg)
    version, n_tensors, n_fields = cursor.take("I"), cursor.take("Q"), cursor.take("Q")
    if version not in _VERSIONS:
        msg = f"GGUF version {version} is not supported"
        raise DamagedFileError(msg)
    if max(n_tensors, n_fields) > _MOST_FIELDS:
        raise OverflowError
    fields = {cursor.text(): _value(cursor, cursor.take("I")) for _ in range(n_fields)}
    tensors = tuple(_tensor(cursor) for _ in range(n_tensors))
    return Header(fields, tensors, -(-cursor.position // _ALIGNMENT) * _ALIGNMENT)


def _value(cursor: _Cursor, kind: int) -> Value:
    if kind == _STRING:
        return cursor.text()
    return _list(cursor) if kind == _ARRAY else cursor.take(_SCALARS[kind])


def _list(cursor: _Cursor) -> int | tuple[int | float | bool, ...]:
    kind, n_items = cursor.take("I"), cursor.take("Q")
    if kind in _SCALARS and n_items <= _MOST_KEPT:
        return tuple(cursor.take(_SCALARS[kind]) for _ in range(n_items))
    if kind in _SCALARS:
        cursor.skip(n_items * struct.calcsize("<" + _SCALARS[kind]))
        return ()
    for _ in range(n_items):
        if kind == _STRING:
            cursor.skip(cursor.take("Q"))
        else:
            _value(cursor, kind)
    return n_items


def _tensor(cursor: _Cursor) -> Tensor:
    name = cursor.text()
    n_items = prod(cursor.take("Q") for _ in range(cursor.take("I")))
    block = _BLOCKS.get(cursor.take("I"))
    n_bytes = -(-n_items // block[0]) * block[1] if block else 1
    return Tensor(name, n_items, cursor.take("Q") + n_bytes)
