"""Host side of a worker's channel: frames over a non-blocking socket, in strict lock-step.

At most one frame is ever held. A worker that says more than it was asked for, announces too large
a frame or sends what does not decode has broken the protocol; nothing it says later is read.
"""

import array
import asyncio
import socket
from collections.abc import Callable

import msgspec

from engine.sandbox.protocol import (
    MAX_UP_BYTES,
    Frame,
    FrameBuffer,
    FromWorker,
    ViolationError,
    pack,
)

_READ_BYTES = 1 << 17
_READING_S = 5.0
"""Longest time that a worker may take to read what it waits for."""
_AGAIN_S = 0.001


def _proceed() -> None:
    return


class LostError(Exception):
    """The worker is gone: its end of the channel is closed."""


class Channel:
    """One worker's channel. Only one task may use it at a time."""

    def __init__(self, end: socket.socket) -> None:
        """Take over `end`, a connected stream socket."""
        end.settimeout(0)
        self._socket = end
        self._loop = asyncio.get_running_loop()
        self._buffer = FrameBuffer(MAX_UP_BYTES)
        self._decoder = msgspec.msgpack.Decoder(FromWorker)
        self._waiter: asyncio.Future[None] | None = None
        self._is_ended = False
        self._is_late = False
        self._loop.add_reader(end.fileno(), self._on_readable)

    def _on_readable(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._buffer.feed(data)
        # Beyond one frame nothing is read: what a worker can make the host hold stays bounded.
        if not data or len(self._buffer) > MAX_UP_BYTES + _READ_BYTES:
            self._is_ended = True
            self._loop.remove_reader(self._socket.fileno())
        self._wake()

    async def receive(self, limit_s: float) -> FromWorker:
        """Wait for the worker's next frame; safe to cancel and to repeat, no byte is lost.

        Raises:
            TimeoutError: it did not come within `limit_s` seconds.
            LostError: the worker is gone.
            ViolationError: what it sent is not one frame of the protocol.
        """
        body = self._buffer.take()
        if body is None:
            # A timer by itself: `asyncio.timeout` costs as much as all else here.
            self._is_late = False
            alarm = self._loop.call_later(limit_s, self._on_late)
            try:
                body = await self._arrived()
            finally:
                alarm.cancel()
        if len(self._buffer):
            raise ViolationError("a frame out of turn")
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ViolationError(f"an unreadable frame ({type(error).__name__})") from error

    async def _arrived(self) -> bytes:
        while (body := self._buffer.take()) is None:
            if self._is_ended:
                raise LostError
            if self._is_late:
                raise TimeoutError
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return body

    def _on_late(self) -> None:
        # Kept, for the waiter may have been woken in this very round, by less than a frame.
        self._is_late = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def send(
        self, frame: Frame, fd: int = -1, *, when_begun: Callable[[], None] = _proceed
    ) -> None:
        """Write one frame, and the descriptor `fd` with it; it is the worker's turn to read.

        `when_begun` is called once as much is written as can be before the worker reads.

        Raises:
            LostError: the worker is gone.
            ViolationError: the worker does not read.
            ValueError: the frame is too large to be passed.
        """
        data = pack(frame)
        try:
            n_sent = self._sent_at_once(data, fd)
            when_begun()
            if n_sent < len(data):
                async with asyncio.timeout(_READING_S):
                    while fd >= 0 and not n_sent:
                        await asyncio.sleep(_AGAIN_S)
                        n_sent = self._sent_at_once(data, fd)
                    await self._loop.sock_sendall(self._socket, data[n_sent:])
        except TimeoutError as error:
            raise ViolationError("an answer that is not read") from error
        except OSError as error:
            raise LostError from error

    def _sent_at_once(self, data: bytes, fd: int) -> int:
        try:
            if fd < 0:
                return self._socket.send(data)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))
            return self._socket.sendmsg([data], [rights])
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Let go of the socket."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
