"""Tells a whole checkpoint file from a damaged one by its header. Weights are not read.

Source: the GGUF specification (ggml-org/ggml, docs/gguf.md, version 3, 2026-11) and the README of
huggingface/safetensors (2026-11).
"""

import json
import mmap
import struct
from pathlib import Path
from typing import Any, cast

_GGUF_VERSIONS = (2, 3)
_GGUF_ALIGNMENT = 32
_STRING, _ARRAY = 8, 9
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_ELEMENT_BYTES = {0: 4, 1: 2, 30: 2}
"""float32, float16, bfloat16; of other (quantized) tensors only the first byte must exist."""


class DamagedFileError(Exception):
    """The file is not what its name says; the message tells why."""


def check_json(file: Path) -> None:
    """Raise DamagedFileError unless `file` is a JSON object."""
    _json_object(file.read_bytes(), what="the file")


def check_safetensors(file: Path) -> None:
    """Raise DamagedFileError unless `file` holds all the data its header promises."""
    start, header = _safetensors_header(file)
    try:
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        n_data_bytes = max(int(entry["data_offsets"][1]) for entry in entries)
    except (LookupError, TypeError, ValueError) as error:
        msg = "the safetensors header lists no tensors"
        raise DamagedFileError(msg) from error
    _check_size(file, expected_bytes=start + n_data_bytes)


def check_gguf(file: Path) -> None:
    """Raise DamagedFileError unless `file` is GGUF and holds all the data its header promises."""
    _check_size(file, expected_bytes=24)
    with file.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            expected_bytes = _gguf_bytes(_Cursor(data))
        except (struct.error, KeyError, OverflowError) as error:
            msg = "the GGUF header is damaged or cut off"
            raise DamagedFileError(msg) from error
    _check_size(file, expected_bytes=expected_bytes)


def _check_size(file: Path, *, expected_bytes: int) -> None:
    size_bytes = file.stat().st_size
    if size_bytes < expected_bytes:
        msg = f"cut off at {size_bytes} bytes, at least {expected_bytes} are expected"
        raise DamagedFileError(msg)


def _safetensors_header(file: Path) -> tuple[int, dict[str, Any]]:
    """Return where the data starts, in bytes, and the header."""
    _check_size(file, expected_bytes=8)
    with file.open("rb") as source:
        (n_header_bytes,) = struct.unpack("<Q", source.read(8))
        _check_size(file, expected_bytes=8 + n_header_bytes)
        return 8 + n_header_bytes, _json_object(source.read(n_header_bytes), what="its header")


def _json_object(raw: bytes, *, what: str) -> dict[str, Any]:
    try:
        value: object = json.loads(raw)
    except ValueError as error:
        msg = f"{what} is not JSON ({error})"
        raise DamagedFileError(msg) from error
    if not isinstance(value, dict):
        msg = f"{what} is not a JSON object"
        raise DamagedFileError(msg)
    return cast("dict[str, Any]", value)


class _Cursor:
    """Reads little-endian values from mapped bytes, without copying what is skipped."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.position = 0

    def take(self, code: str) -> int:
        """Return the next integer; `code` is its `struct` format."""
        (value,) = struct.unpack_from("<" + code, self._data, self.position)
        self.skip(struct.calcsize("<" + code))
        return value

    def skip(self, n_bytes: int) -> None:
        self.position += n_bytes


def _gguf_bytes(cursor: _Cursor) -> int:
    """Return the least size that the file can have by its header."""
    if cursor.take("I") != int.from_bytes(b"GGUF", "little"):
        msg = "not a GGUF file"
        raise DamagedFileError(msg)
    version, n_tensors, n_fields = cursor.take("I"), cursor.take("Q"), cursor.take("Q")
    if version not in _GGUF_VERSIONS:
        msg = f"GGUF version {version} is not supported"
        raise DamagedFileError(msg)
    for _ in range(n_fields):
        _skip_string(cursor)
        _skip_value(cursor, cursor.take("I"))
    data_bytes = max((_tensor_end(cursor) for _ in range(n_tensors)), default=0)
    return -(-cursor.position // _GGUF_ALIGNMENT) * _GGUF_ALIGNMENT + data_bytes


def _skip_string(cursor: _Cursor) -> None:
    cursor.skip(cursor.take("Q"))


def _skip_value(cursor: _Cursor, kind: int) -> None:
    if kind == _STRING:
        _skip_string(cursor)
    elif kind == _ARRAY:
        _skip_array(cursor)
    else:
        cursor.skip(_SCALAR_BYTES[kind])


def _skip_array(cursor: _Cursor) -> None:
    kind, n_items = cursor.take("I"), cursor.take("Q")
    if kind in _SCALAR_BYTES:
        cursor.skip(n_items * _SCALAR_BYTES[kind])
        return
    for _ in range(n_items):
        _skip_value(cursor, kind)


def _tensor_end(cursor: _Cursor) -> int:
    """Return where the next listed tensor ends, in bytes from the start of the data."""
    _skip_string(cursor)
    n_items = 1
    for _ in range(cursor.take("I")):
        n_items *= cursor.take("Q")
    element_bytes = _ELEMENT_BYTES.get(cursor.take("I"))
    return cursor.take("Q") + (n_items * element_bytes if element_bytes else 1)
