"""Child side of the channels: blocking frames over a file descriptor."""

import os
from typing import TypeVar

import msgspec

from engine.sandbox.protocol import MAX_DOWN_BYTES, MAX_UP_BYTES, Frame, FrameBuffer, pack

_READ_BYTES = 1 << 18

T = TypeVar("T")


class Wire:
    """Sends and receives whole frames; the end of the stream is an `EOFError`."""

    def __init__(self, fd: int) -> None:
        """Speak over `fd`, a connected stream socket."""
        self._fd = fd
        self._buffer = FrameBuffer(MAX_DOWN_BYTES)

    def send(self, frame: Frame) -> None:
        """Write one frame to its end."""
        data = memoryview(pack(frame, MAX_UP_BYTES))
        while data:
            data = data[os.write(self._fd, data) :]

    def receive(self, decoder: msgspec.msgpack.Decoder[T]) -> T:
        """Wait for one frame."""
        while (body := self._buffer.take()) is None:
            data = os.read(self._fd, _READ_BYTES)
            if not data:
                raise EOFError
            self._buffer.feed(data)
        return decoder.decode(body)
