"""Child side of the channels: blocking frames over a file descriptor."""

import array
import os
import socket
from functools import partial
from typing import TypeVar

import msgspec

from engine.sandbox.protocol import MAX_DOWN_BYTES, MAX_UP_BYTES, Frame, FrameBuffer, pack
from engine.sandbox.reserve import Reserve

_READ_BYTES = 1 << 18
_FD_SIZE = array.array("i").itemsize

T = TypeVar("T")


class Wire:
    """Sends and receives whole frames; the end of the stream is an `EOFError`.

    Where memory is short, each step is done again with the reserve: half a frame would be the end.
    """

    def __init__(self, fd: int, reserve: Reserve) -> None:
        """Speak over `fd`, a connected stream socket; give `reserve` back where that is needed."""
        self._fd = fd
        self._reserve = reserve
        # All is told, so nothing is asked of the kernel: a sealed worker may not.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)
        self._fds: list[int] = []
        self._buffer = FrameBuffer(MAX_DOWN_BYTES)

    def send(self, frame: Frame) -> None:
        """Write one frame to its end."""
        data = memoryview(self._reserve.spared(lambda: pack(frame, MAX_UP_BYTES)))
        while data:
            data = data[os.write(self._fd, data) :]

    def receive(self, decoder: msgspec.msgpack.Decoder[T]) -> T:
        """Wait for one frame."""
        while (body := self._reserve.spared(self._buffer.take)) is None:
            data = self._reserve.spared(self._arrived)
            if not data:
                raise EOFError
            self._reserve.spared(partial(self._buffer.feed, data))
        return self._reserve.spared(partial(decoder.decode, body))

    def _arrived(self) -> bytes:
        data, ancillary, _flags, _address = self._socket.recvmsg(
            _READ_BYTES, socket.CMSG_SPACE(_FD_SIZE)
        )
        for _level, _kind, rights in ancillary:
            self._fds.extend(array.array("i", rights))
        return data

    def take_fds(self) -> list[int]:
        """Return the descriptors that came with the last frame; they are the caller's to close."""
        fds, self._fds = self._fds, []
        return fds
