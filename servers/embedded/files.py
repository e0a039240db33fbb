"""Tells a whole checkpoint file from a damaged one by its header. Weights are not read.

Source: the README of huggingface/safetensors (2026-11). GGUF files: servers/embedded/gguf.py.
"""

import json
import struct
from pathlib import Path
from typing import Any, cast


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
    except (ValueError, RecursionError) as error:
        msg = f"{what} is not JSON ({error})"
        raise DamagedFileError(msg) from error
    if not isinstance(value, dict):
        msg = f"{what} is not a JSON object"
        raise DamagedFileError(msg)
    return cast("dict[str, Any]", value)
