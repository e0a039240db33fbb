"""How workers are made, and what is left when one cannot be made."""

import asyncio
import os
import resource
import socket
from collections.abc import Generator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import uvloop

from engine.errors import SandboxError
from engine.sandbox import Tier, forkserver
from engine.sandbox.forkserver import ForkServer, fork_server
from engine.sandbox.host import ProcessSandbox, open_sandbox
from engine.sandbox.process import Process
from engine.sandbox.seal import MAX_ZYGOTE_FDS
from engine.sandbox.walls import Wall
from tests.sandbox.workshop import LIMITS, opened

ANY = Tier.CONTAINED_ONLY
_REFUSING_THE_SECOND = f"""
import errno, os, sys
fork, n_workers = os.fork, 0
def refusing():
    global n_workers
    n_workers += sys._getframe(1).f_code.co_name == "_fork"
    if n_workers == 2:
        n_workers += 1
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()
os.fork = refusing
{forkserver.BOOT}
"""


def test_a_worker_has_nothing_that_the_engine_was_started_with(secret_fd: int) -> None:
    async def read() -> str:
        async with open_sandbox(LIMITS, minimum=ANY) as sandbox, opened(sandbox) as workspace:
            return (await workspace.execute(f"import os\nos.read({secret_fd}, 9)")).output

    assert "Bad file descriptor" in uvloop.run(read())


@pytest.fixture
def secret_fd(tmp_path: Path) -> Generator[int]:
    """A file that a shell has left open for all its children, under a high number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    path = tmp_path / "secret"
    path.write_text("secret")
    with path.open("rb") as file:
        number = os.dup2(file.fileno(), MAX_ZYGOTE_FDS + 100, inheritable=True)
    yield number
    os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _forked(server: ForkServer) -> Process:
    return await server.fork(output_chars=100, memory_bytes=1 << 30)


@contextmanager
def _room_for(n_fds: int) -> Generator[None]:
    """Let this process open at most `n_fds` more descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_fd = os.dup(0)
    os.close(next_fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_fd + n_fds, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_refused_fork_costs_that_worker_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkserver, "BOOT", _REFUSING_THE_SECOND)
    async with (
        open_sandbox(LIMITS, minimum=Tier.CONTAINED_ONLY) as sandbox,
        opened(sandbox) as one,
        opened(sandbox) as other,
    ):
        await one.execute("x = 41")
        with pytest.raises(SandboxError, match=r"cannot fork a worker.*temporarily unavailable"):
            await other.execute("1")
        assert (await one.execute("x + 1")).output == "42\n"
        assert (await other.execute("1")).output == "1\n"


@pytest.mark.parametrize("n_fds", [0, 1, 2])
async def test_a_host_without_descriptors_is_a_sandbox_error(n_fds: int) -> None:
    async with fork_server() as server:
        with _room_for(n_fds), pytest.raises(SandboxError, match="Too many open files"):
            await _forked(server)
        process = await _forked(server)
        await process.end()
        process.close()


async def test_a_worker_whose_descriptor_was_lost_leaves_the_next_one_its_own() -> None:
    async with fork_server() as server:
        with _room_for(20), _Held() as held:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_refused(server))
                # Once the request is on its way.
                asyncio.get_running_loop().call_soon(held.take_all)
        process = await _forked(server)
        assert await process.end() == "the process was ended by SIGKILL"
        process.close()


async def _refused(server: ForkServer) -> None:
    with pytest.raises(SandboxError, match="no descriptor is left"):
        await _forked(server)


class _Held(ExitStack):
    """Every descriptor that is left."""

    def take_all(self) -> None:
        with suppress(OSError):
            while True:
                self.callback(os.close, os.dup(0))


async def test_a_request_that_cannot_be_sent_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkserver, "_FORK_S", 0.1)
    host_end, zygote_end = socket.socketpair()
    server = ForkServer(host_end)
    _fill(host_end)
    with zygote_end:
        async with asyncio.timeout(60):
            with pytest.raises(SandboxError, match="does not answer"):
                await _forked(server)
    server.close()


def _fill(end: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            end.send(b"x" * 4_096)


async def _users(sandbox: ProcessSandbox, n_living: int) -> list[str]:
    """Return the user ids of workers that live at the same time."""
    async with AsyncExitStack() as stack:
        living = [await stack.enter_async_context(opened(sandbox)) for _ in range(n_living)]
        return [(await one.execute("import os; os.getuid()")).output for one in living]


async def test_user_ids_are_used_again_and_never_by_two_at_once() -> None:
    """A container has no more than 65,536 of them, and a run can have more workers."""
    async with open_sandbox(LIMITS, minimum=Tier.CONTAINED_ONLY) as sandbox:
        if Wall.UID not in sandbox.walls:
            pytest.skip("workers have no user ids of their own here")
        seen = [await _users(sandbox, n_living) for n_living in (3, 2, 3)]
    assert [len(set(users)) for users in seen] == [3, 2, 3]
    assert len({user for users in seen for user in users}) == 3


async def test_a_zygote_that_is_killed_before_it_has_read_all_is_gone() -> None:
    host_end, zygote_end = socket.socketpair()
    server = ForkServer(host_end)
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: troubles.append(told))
    host_end.send(b"x")
    zygote_end.close()
    with pytest.raises(SandboxError, match="zygote is gone"):
        await server.hello
    server.close()
    assert troubles == []


_WITHOUT_A_PIDFD_FOR_THE_SECOND = f"""
import errno, os, sys
pidfd_open, n_workers = os.pidfd_open, 0
def refusing(pid):
    global n_workers
    n_workers += sys._getframe(1).f_code.co_name == "_pidfds"
    if n_workers == 2:
        n_workers += 1
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return pidfd_open(pid)
os.pidfd_open = refusing
{forkserver.BOOT}
"""


async def test_a_worker_that_nobody_could_signal_is_not_born(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forkserver, "BOOT", _WITHOUT_A_PIDFD_FOR_THE_SECOND)
    async with open_sandbox(LIMITS, minimum=Tier.CONTAINED_ONLY) as sandbox:
        if Wall.NAMESPACES not in sandbox.walls:
            pytest.skip("workers can be signalled by their numbers here")
        async with opened(sandbox) as one, opened(sandbox) as other:
            await one.execute("x = 41")
            with pytest.raises(SandboxError, match=r"cannot fork a worker.*Too many open files"):
                await other.execute("1")
            assert (await one.execute("x + 1")).output == "42\n"
            assert (await other.execute("1")).output == "1\n"
