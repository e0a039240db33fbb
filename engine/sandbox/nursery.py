"""The zygote's loop: forks a worker per request, reaps the dead, ends with its control channel."""

import array
import contextlib
import os
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Collection
from typing import NamedTuple, NoReturn

import msgspec

from engine.sandbox import denials, kernel, worker
from engine.sandbox.printed import Printed
from engine.sandbox.protocol import Exited, Fork, Forked, Frame, FrameBuffer, Unborn, pack
from engine.sandbox.reserve import Reserve
from engine.sandbox.seal import CHANNEL_FD, Plan, seal
from engine.sandbox.walls import Wall
from engine.sandbox.wire import Wire

_READ_BYTES = 1 << 16
_FD_SIZE = array.array("i").itemsize


class Control:
    """The zygote's end of the control channel: requests with descriptors in, reports out."""

    def __init__(self, fd: int) -> None:
        """Speak over the connected stream socket `fd`."""
        # The lowest free number, whatever the host's was: workers close all descriptors up to a
        # bound.
        low_fd = os.dup(fd)
        os.close(fd)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=low_fd)
        self._buffer = FrameBuffer(_READ_BYTES)
        self._fds: deque[int] = deque()
        self._decoder = msgspec.msgpack.Decoder(Fork)

    def fileno(self) -> int:
        """Let `select` wait for it."""
        return self._socket.fileno()

    def send(self, frame: Frame, fds: list[int]) -> None:
        """Report one fact, descriptors along with it."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        data = pack(frame)
        n_sent = self._socket.sendmsg([data], rights)
        self._socket.sendall(data[n_sent:])

    def read(self) -> list[tuple[Fork, int, int]]:
        """Return the requests that arrived, each with its two descriptors.

        Raises:
            EOFError: the host is gone.
        """
        data, ancillary, _flags, _address = self._socket.recvmsg(
            _READ_BYTES, socket.CMSG_SPACE(64 * _FD_SIZE)
        )
        for _level, _kind, rights in ancillary:
            self._fds.extend(array.array("i", rights[: len(rights) // _FD_SIZE * _FD_SIZE]))
        if not data:
            raise EOFError
        self._buffer.feed(data)
        requests: list[tuple[Fork, int, int]] = []
        while (body := self._buffer.take()) is not None:
            fork = self._decoder.decode(body)
            requests.append((fork, self._fds.popleft(), self._fds.popleft()))
        return requests


class _Living(NamedTuple):
    serial: int
    place: int


class Nursery:
    """Forks workers and reports their ends."""

    def __init__(self, control: Control, plan: Plan) -> None:
        """Answer the requests of `control`, seal workers by `plan`."""
        self._control = control
        self._plan = plan
        self._living: dict[int, _Living] = {}
        self._left_places: list[int] = []

    def serve(self) -> None:
        """Fork and reap until the host is gone."""
        wake_in, wake_out = os.pipe()
        os.set_blocking(wake_in, False)
        os.set_blocking(wake_out, False)
        signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)
        if sys.platform == "linux":
            kernel.overlook_stopped_children()
        signal.set_wakeup_fd(wake_out, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake_in, select.POLLIN)
        with contextlib.suppress(EOFError):
            while True:
                self._attend({fd for fd, _events in poll.poll()}, wake_in)
        # A worker that is stopped between blocks does not see its channel close.
        for pid in self._living:
            os.kill(pid, signal.SIGKILL)

    def _attend(self, ready: Collection[int], wake_in: int) -> None:
        if wake_in in ready:
            os.read(wake_in, _READ_BYTES)
            self._reap()
        if self._control.fileno() in ready:
            for request, channel_fd, printed_fd in self._control.read():
                self._fork(request, channel_fd, printed_fd)

    def _fork(self, request: Fork, channel_fd: int, printed_fd: int) -> None:
        # Where none is left over, those who live have all places from the first on.
        place = self._left_places.pop() if self._left_places else len(self._living)
        try:
            pid = os.fork()
            if pid == 0:
                _become_worker(request, self._plan, place, channel_fd, printed_fd)
            pidfds = self._pidfds(pid)
        except OSError as error:
            self._left_places.append(place)
            self._control.send(Unborn(request.serial, str(error)), [])
        else:
            self._living[pid] = _Living(request.serial, place)
            self._control.send(Forked(request.serial, pid, bool(pidfds)), pidfds)
            for fd in pidfds:
                os.close(fd)
        finally:
            os.close(channel_fd)
            os.close(printed_fd)

    def _pidfds(self, pid: int) -> list[int]:
        """Return how the host signals a worker, nothing if by its number.

        Raises:
            OSError: not at all: its number is that of another process there. It is ended.
        """
        try:
            return [os.pidfd_open(pid)]
        except (AttributeError, OSError):
            if Wall.NAMESPACES not in self._plan.walls:
                return []
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    def _reap(self) -> None:
        while self._living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            gone = self._living.pop(pid)
            self._left_places.append(gone.place)
            self._control.send(Exited(gone.serial, os.waitstatus_to_exitcode(status)), [])


def _become_worker(
    request: Fork, plan: Plan, place: int, channel_fd: int, printed_fd: int
) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        worker.mask_interrupts()
        printed = Printed(printed_fd, request.output_chars)
        seal(
            plan,
            place=place,
            channel_fd=channel_fd,
            memory_bytes=request.memory_bytes,
        )
        reserve = Reserve()
        wire = Wire(CHANNEL_FD, reserve)
        if Wall.SECCOMP not in plan.walls:
            denials.install()
        worker.main(wire, printed, reserve)
    finally:
        os._exit(1)
