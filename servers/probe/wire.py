"""Frames between a probe's two sides: a length, a description, then the numbers of the arrays."""

import struct
from collections.abc import Mapping
from typing import BinaryIO

import msgspec
import numpy as np

from engine.introspection.probe import Question
from engine.introspection.safetensors import Floats

_LENGTH = struct.Struct("<Q")


class Numbered(msgspec.Struct, frozen=True):
    """A question, and the number that its reply has."""

    id: int
    question: Question


class Refusal(msgspec.Struct, frozen=True):
    """Why a question has no answer, as an exception in the code that asked."""

    kind: str
    message: str


class _Placed(msgspec.Struct, frozen=True):
    name: str
    shape: tuple[int, ...]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What answers one question; its arrays follow it."""

    id: int
    plain: object = None
    refusal: Refusal | None = None
    failure: str | None = None
    """What went wrong in the probe itself."""


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    reply: Reply
    arrays: tuple[_Placed, ...]


_QUESTIONS = msgspec.msgpack.Decoder(Numbered)
_HEADS = msgspec.msgpack.Decoder(_Head)


def send_question(stream: BinaryIO, question: Numbered) -> None:
    """Write one question."""
    _write(stream, msgspec.msgpack.encode(question))
    stream.flush()


def receive_question(stream: BinaryIO) -> Numbered | None:
    """Return the next question; None when the other side is gone."""
    body = _read(stream)
    return None if body is None else _QUESTIONS.decode(body)


def send_reply(stream: BinaryIO, reply: Reply, arrays: Mapping[str, Floats]) -> None:
    """Write one reply and the numbers of its arrays."""
    whole = {name: np.asarray(array, np.float32, order="C") for name, array in arrays.items()}
    placed = tuple(_Placed(name, array.shape) for name, array in whole.items())
    _write(stream, msgspec.msgpack.encode(_Head(reply=reply, arrays=placed)))
    stream.writelines(array.reshape(-1).view(np.uint8).data for array in whole.values())
    stream.flush()


def receive_reply(stream: BinaryIO) -> tuple[Reply, dict[str, Floats]] | None:
    """Return the next reply with its arrays; None when the other side is gone."""
    body = _read(stream)
    if body is None:
        return None
    head = _HEADS.decode(body)
    arrays: dict[str, Floats] = {}
    for each in head.arrays:
        array = np.empty(each.shape, np.float32)
        if not _fill(stream, array):
            return None
        arrays[each.name] = array
    return head.reply, arrays


def _write(stream: BinaryIO, body: bytes) -> None:
    stream.write(_LENGTH.pack(len(body)) + body)


def _read(stream: BinaryIO) -> bytes | None:
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    (n_bytes,) = _LENGTH.unpack(length)
    body = stream.read(n_bytes)
    return body if len(body) == n_bytes else None


def _fill(stream: BinaryIO, array: Floats) -> bool:
    """Read the numbers of `array`; False when the other side is gone before their end."""
    rest = memoryview(array.reshape(-1).view(np.uint8).data)
    while rest:
        n_bytes = stream.readinto(rest)  # type: ignore[attr-defined]
        if not n_bytes:
            return False
        rest = rest[n_bytes:]
    return True
