"""Frames between host, zygote and workers: what may be said, and how it is packed.

A frame is a length (4 bytes, big-endian) and a msgpack map of one of the types below. Both sides
decode by type; nothing is ever pickled or evaluated. Between host and worker the talk is in strict
lock-step: the worker speaks only when it is its turn, and every frame of a block carries its id.
"""

import struct
from typing import Annotated, Any

import msgspec

MAX_UP_BYTES = 2 << 20
"""Largest frame that a worker may send."""
MAX_DOWN_BYTES = 32 << 20
"""Largest frame that the host sends."""
MAX_KIND_CHARS = 200
MAX_MESSAGE_CHARS = 2_000
MAX_TRACEBACK_CHARS = 5_000
MAX_METHOD_CHARS = 200

_HEADER = struct.Struct(">I")


class ViolationError(Exception):
    """The other side broke the protocol."""


class Frame(msgspec.Struct, frozen=True, tag_field="t", forbid_unknown_fields=True):
    """Root of all frames."""


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a block raised, as the worker tells it."""

    kind: Annotated[str, msgspec.Meta(max_length=MAX_KIND_CHARS)]
    message: Annotated[str, msgspec.Meta(max_length=MAX_MESSAGE_CHARS)]
    traceback: Annotated[str, msgspec.Meta(max_length=MAX_TRACEBACK_CHARS)] = ""


class Module(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A module to serve."""

    source: str
    code: bytes
    """Compiled from `source` and marshalled; empty where that cannot be compiled."""


class Begin(Frame, tag="begin", frozen=True):
    """Host to worker, once: the modules to serve, by dotted name."""

    modules: dict[str, Module]
    seed: int | None


class Give(Frame, tag="give", frozen=True):
    """Host to worker, between blocks: further modules to serve; answered as `Begin` is."""

    modules: dict[str, Module]


class Run(Frame, tag="run", frozen=True):
    """Host to worker: execute one block."""

    id: int
    number: int
    """Position of the block in the namespace, from 1; names it in tracebacks."""
    code: str


class Answered(Frame, tag="answered", frozen=True):
    """Host to worker: the answer to the open question."""

    id: int
    value: Any


class Placed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one array of an answer lies."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    start_bytes: int


class WithArrays(Frame, tag="arrays", frozen=True):
    """Host to worker: the answer to the open question, with arrays in it.

    They lie in memory whose descriptor comes along, or in `data` where there is none.
    """

    id: int
    value: Any
    """None: the only array is the whole answer. Otherwise a dictionary that gets the arrays."""
    arrays: tuple[Placed, ...]
    size_bytes: int
    data: bytes


class Refused(Frame, tag="refused", frozen=True):
    """Host to worker: the open question is refused with a built-in exception."""

    id: int
    kind: str
    message: str


class Ready(Frame, tag="ready", frozen=True):
    """Worker to host: the seal holds and the modules are loaded."""


class Ask(Frame, tag="ask", frozen=True):
    """Worker to host: call one introspection method."""

    id: int
    method: Annotated[str, msgspec.Meta(max_length=MAX_METHOD_CHARS)]
    arguments: msgspec.Raw
    """A map by name, for whoever has seen that it is not too large."""


class Done(Frame, tag="done", frozen=True):
    """Worker to host: the block ended."""

    id: int
    failure: Failure | None


class Hello(Frame, tag="hello", frozen=True):
    """Zygote to host, once: it can fork, and which walls its workers get."""

    walls: tuple[str, ...]
    missing: dict[str, str]
    """Walls that are not to be had here, each with the reason."""


class Fork(Frame, tag="fork", frozen=True):
    """Host to zygote, with two file descriptors: the worker's channel and its output."""

    serial: int
    output_chars: int
    memory_bytes: int


class Forked(Frame, tag="forked", frozen=True):
    """Zygote to host; a pidfd comes along where the kernel has them."""

    serial: int
    pid: int
    has_pidfd: bool


class Unborn(Frame, tag="unborn", frozen=True):
    """Zygote to host: a worker could not be forked."""

    serial: int
    reason: str


class Exited(Frame, tag="exited", frozen=True):
    """Zygote to host: a worker is gone; `status` is its exit code, or minus the signal."""

    serial: int
    status: int


ToWorker = Begin | Give | Run | Answered | WithArrays | Refused
FromWorker = Ready | Ask | Done
FromZygote = Hello | Forked | Unborn | Exited

_encoder = msgspec.msgpack.Encoder()


def pack(frame: Frame, cap_bytes: int = MAX_DOWN_BYTES) -> bytes:
    """Return the bytes of one frame, length included.

    Raises:
        ValueError: the frame is larger than `cap_bytes`.
    """
    body = _encoder.encode(frame)
    if len(body) > cap_bytes:
        raise ValueError(f"{len(body):,} bytes, at most {cap_bytes:,} can be passed")
    return _HEADER.pack(len(body)) + body


class FrameBuffer:
    """Cuts a byte stream into the bodies of frames, never holding more than one frame's cap."""

    def __init__(self, cap_bytes: int) -> None:
        """Refuse any frame larger than `cap_bytes`."""
        self._cap_bytes = cap_bytes
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._data += data

    def take(self) -> bytes | None:
        """Return the next complete body, None while it is incomplete.

        Raises:
            ViolationError: the length announced is beyond the cap.
        """
        if len(self._data) < _HEADER.size:
            return None
        (size,) = _HEADER.unpack_from(self._data)
        if size > self._cap_bytes:
            raise ViolationError(f"a frame of {size:,} bytes")
        end = _HEADER.size + size
        if len(self._data) < end:
            return None
        body = bytes(self._data[_HEADER.size : end])
        del self._data[:end]
        return body

    def __len__(self) -> int:
        """Return the number of bytes held."""
        return len(self._data)
