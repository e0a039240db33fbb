"""Writes GGUF files that hold a header, for what a model is planned by.

Source: the GGUF specification (ggml-org/ggml, docs/gguf.md, version 3, 2026-11).
"""

import struct
from collections.abc import Mapping
from pathlib import Path

_NUMBER, _TEXT, _LIST = 4, 8, 9
_ALIGNMENT = 32

Field = int | str | list[int] | list[str] | bytes
"""`bytes`: a value as it stands in the file, its type included."""

SHAPE: Mapping[str, Field] = {
    "general.architecture": "deci",
    "deci.block_count": 30,
    "deci.embedding_length": 2048,
    "deci.feed_forward_length": 8192,
    "deci.attention.head_count": 32,
    "deci.context_length": 4096,
    "tokenizer.ggml.tokens": ["a"] * 100,
}


def write_header(file: Path, fields: Mapping[str, Field]) -> Path:
    """Write a file with these fields and one tensor of a block of nothing."""
    tensor = _text("output.weight") + struct.pack("<IQIQ", 1, 32, 0, 0)
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, len(fields))
    raw = head + b"".join(_text(name) + _value(value) for name, value in fields.items()) + tensor
    file.write_bytes(raw + bytes(-len(raw) % _ALIGNMENT) + bytes(128))
    return file


def nested(depth: int) -> bytes:
    """A list within a list, and so on."""
    return struct.pack("<I", _LIST) + struct.pack("<IQ", _LIST, 1) * depth + bytes(12)


def _value(value: Field) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return struct.pack("<II", _NUMBER, value)
    if isinstance(value, str):
        return struct.pack("<I", _TEXT) + _text(value)
    kind = _TEXT if isinstance(value[0], str) else _NUMBER
    items = (_text(each) if isinstance(each, str) else struct.pack("<I", each) for each in value)
    return struct.pack("<IIQ", _LIST, kind, len(value)) + b"".join(items)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()
