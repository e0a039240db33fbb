"""Host side of the zygote: start it, have workers forked, hear of their ends."""

import array
import asyncio
import json
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncGenerator, Collection
from contextlib import ExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import msgspec

from engine.errors import SandboxError
from engine.sandbox import printed
from engine.sandbox.channel import Channel
from engine.sandbox.process import Process
from engine.sandbox.protocol import (
    Exited,
    Fork,
    Forked,
    FrameBuffer,
    FromZygote,
    Hello,
    Unborn,
    pack,
)

_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # sets print in the same order in every run: namespaces can be revived
    "OPENBLAS_NUM_THREADS": "1",  # a process that forks must have one thread
    "OMP_NUM_THREADS": "1",
}
"""All that the zygote is told; its workers do not see even that."""

BOOT = """
import json, os, sys
os.register_at_fork = lambda **hooks: None
sys.path.extend(json.loads(sys.argv[2]))
from engine.sandbox.zygote import ready
ready(int(sys.argv[1]), without=json.loads(sys.argv[3]))()
"""
"""What remains on the stack of every worker: nothing that tells where this machine keeps things.

No module that is imported has anything called after a fork: it would renew locks that nobody holds,
where there is one thread, and seed generators that every worker seeds by itself: a tenth of what a
worker costs.
"""

_READ_BYTES = 1 << 16
_START_S = 60.0
_FORK_S = 60.0
_END_S = 2.0
_NO_PIDFD = -1
_FD_SIZE = array.array("i").itemsize
_MAX_STDERR_CHARS = 4_000


class ForkServer:
    """The running zygote."""

    def __init__(self, control: socket.socket) -> None:
        """Speak over `control`, the host's end of the control channel."""
        control.settimeout(0)
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._buffer = FrameBuffer(_READ_BYTES)
        self._decoder = msgspec.msgpack.Decoder(FromZygote)
        self._pidfds: deque[int] = deque()
        self._processes: dict[int, Process] = {}
        self._n_forked = 0
        self._gate = asyncio.Lock()
        self.hello: asyncio.Future[Hello] = self._loop.create_future()
        self._loop.add_reader(control.fileno(), self._on_readable)

    async def fork(self, *, output_chars: int, memory_bytes: int) -> Process:
        """Have one worker forked.

        Raises:
            SandboxError: the zygote is gone, does not answer or cannot fork.
        """
        self._n_forked += 1
        serial = self._n_forked
        process, worker_end = _made(serial, output_chars)
        self._processes[serial] = process
        try:
            async with asyncio.timeout(_FORK_S):
                with worker_end:
                    fds = [worker_end.fileno(), process.printed_fd]
                    await self._request(Fork(serial, output_chars, memory_bytes), fds)
                await process.forked
        except (OSError, TimeoutError) as error:
            process.close()
            raise SandboxError("the sandbox's zygote does not answer") from error
        except BaseException:
            # A worker that is born without a channel ends by itself.
            process.close()
            raise
        return process

    def processes(self) -> list[Process]:
        """Return the workers that live."""
        return list(self._processes.values())

    async def _request(self, request: Fork, fds: list[int]) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        data = pack(request)
        async with self._gate:
            while True:
                try:
                    n_sent = self._control.sendmsg([data], rights)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.001)
            await self._loop.sock_sendall(self._control, data[n_sent:])

    def _on_readable(self) -> None:
        try:
            data, ancillary, flags, _address = self._control.recvmsg(
                _READ_BYTES, socket.CMSG_SPACE(64 * _FD_SIZE)
            )
        except BlockingIOError:
            return
        except OSError:
            self._on_lost()
            return
        for _level, _kind, rights in ancillary:
            self._pidfds.extend(array.array("i", rights[: len(rights) // _FD_SIZE * _FD_SIZE]))
        if flags & socket.MSG_CTRUNC:
            # One came, and this process has no descriptor left for it: it must not be taken for
            # that of the next worker.
            self._pidfds.append(_NO_PIDFD)
        if not data:
            self._on_lost()
        self._buffer.feed(data)
        while (body := self._buffer.take()) is not None:
            self._on_frame(self._decoder.decode(body))

    def _on_frame(self, frame: FromZygote) -> None:
        if isinstance(frame, Hello):
            self.hello.set_result(frame)
        elif isinstance(frame, Forked):
            self._on_forked(frame, self._processes[frame.serial])
        elif isinstance(frame, Unborn):
            process = self._processes.pop(frame.serial)
            process.unborn(f"the sandbox's zygote cannot fork a worker: {frame.reason}")
            process.exited.set_result(-signal.SIGKILL)
        else:
            assert isinstance(frame, Exited)
            process = self._processes.pop(frame.serial)
            process.exited.set_result(frame.status)

    def _on_forked(self, frame: Forked, process: Process) -> None:
        pidfd = self._pidfds.popleft() if frame.has_pidfd else _NO_PIDFD
        if frame.has_pidfd and pidfd == _NO_PIDFD:
            # Without a channel it ends by itself; its number may be that of another process here.
            process.unborn("no descriptor is left for a worker of the sandbox")
        else:
            process.born(frame.pid, pidfd)

    def _on_lost(self) -> None:
        self._loop.remove_reader(self._control.fileno())
        reason = "the sandbox's zygote is gone"
        if not self.hello.done():
            self.hello.set_exception(SandboxError(reason))
        for process in self._processes.values():
            process.unborn(reason)
            process.exited.set_result(-signal.SIGKILL)
        self._processes.clear()

    def close(self) -> None:
        """Hang up: the zygote ends, and all workers with it."""
        self._loop.remove_reader(self._control.fileno())
        self._control.close()


def _made(serial: int, output_chars: int) -> tuple[Process, socket.socket]:
    """Return a worker that is still to be forked, and its own end of its channel.

    Raises:
        SandboxError: no descriptor is left.
    """
    try:
        with ExitStack() as made:
            printed_fd = printed.create(output_chars)
            made.callback(os.close, printed_fd)
            host_end, worker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            made.pop_all()
    except OSError as error:
        raise SandboxError(f"the host has nothing left to make a worker of: {error}") from error
    return Process(serial, Channel(host_end), printed_fd), worker_end


@asynccontextmanager
async def fork_server(without: Collection[str] = ()) -> AsyncGenerator[ForkServer]:
    """Start a zygote; leaving the context ends it and every worker.

    Walls named in `without` are not put up.

    Raises:
        SandboxError: it could not be started.
    """
    host_end, zygote_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with zygote_end:
        child = await asyncio.create_subprocess_exec(
            *_command(zygote_end.fileno(), without),
            pass_fds=[zygote_end.fileno()],
            env=_ENVIRONMENT,
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    server = ForkServer(host_end)
    try:
        await _greeted(server, child)
        yield server
    finally:
        server.close()
        await _ended(child)


async def _ended(child: asyncio.subprocess.Process) -> None:
    """Let the zygote end by itself, so that its time and its workers' count as ours; then kill."""
    try:
        async with asyncio.timeout(_END_S):
            await child.wait()
    except TimeoutError:
        child.kill()
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()  # to the end of its stderr too, so that the pipe is closed


async def _greeted(server: ForkServer, child: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(_START_S):
            await server.hello
    except (SandboxError, TimeoutError) as error:
        if child.returncode is None:
            child.kill()
        assert child.stderr is not None
        tail = (await child.stderr.read()).decode("utf-8", "replace")[-_MAX_STDERR_CHARS:]
        raise SandboxError(f"the sandbox's zygote did not start: {tail.strip()}") from error


def _command(control_fd: int, without: Collection[str]) -> list[str]:
    # -P -s -S and a passed environment do what -I would do, but -I also drops PYTHONHASHSEED.
    options = [str(control_fd), json.dumps(_paths()), json.dumps(sorted(without))]
    return [sys.executable, "-P", "-s", "-S", "-c", BOOT, *options]


def _paths() -> list[str]:
    """Where the zygote finds what it imports besides the standard library."""
    roots = [str(Path(__file__).parents[2])]
    for name in ("msgspec", "numpy", "pyseccomp", "py_landlock"):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            parents = 2 if spec.submodule_search_locations else 1
            roots.append(str(Path(spec.origin).parents[parents - 1]))
    return list(dict.fromkeys(roots))
