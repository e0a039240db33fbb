"""All workers together: who is ended when memory runs out, and who is not."""

import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from engine.machine import Cgroups
from engine.sandbox import Limits, Tier
from engine.sandbox.channel import Channel
from engine.sandbox.host import open_sandbox
from engine.sandbox.process import Process
from engine.sandbox.watchdog import default_bytes
from tests.sandbox.workshop import LIMITS

ANY = Tier.CONTAINED_ONLY
_BOUND_BYTES = 128 << 20
_ARRAY_BYTES = 64 << 20
_MODULES = {"m": "def get(k):\n    return _ask('m.get', {'k': k})\ndef bare():\n    return _ask\n"}
_READ = "import m, time\nkept += [m.get({0})]\nprint(kept[-1].sum())\ntime.sleep(0.6)"
_HIDE = """
import ctypes, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
size = ctypes.c_size_t(300 << 20)
start = libc.mmap(None, size, 3, 0x21, -1, ctypes.c_long(0))
ctypes.memset(start, 1, size.value)
time.sleep(20)
"""


_DROP_FOUR = """
import m, time
for k in {0}:
    a = None
    a = m.get(k)
    a.sum()
time.sleep(0.6)
"""
_USE_LIBRARIES = """
import hashlib, json, sqlite3, time
import numpy as np
a = np.random.rand(50, 50)
np.linalg.svd(a), np.fft.fft(a), np.linalg.inv(a), a @ a
sqlite3.connect(':memory:').execute('select 1').fetchall()
hashlib.sha256(b'x').hexdigest(), json.dumps([1])
time.sleep(0.6)
"""
_HOLD_DESCRIPTORS = """
import m, time
asker = m.bare()
known = type(asker).__call__.__globals__
held = []
for k in range(3):
    question = known["Ask"](asker.block_id, "m.get", known["_packed"]({"k": k}))
    asker._wire.send(question)
    asker._wire.receive(known["_DECODER"])
    held += asker._wire.take_fds()
time.sleep(20)
"""


async def _answer(_method: str, arguments: Mapping[str, object]) -> object:
    return np.full(_ARRAY_BYTES, arguments["k"], np.uint8)


async def _read(numbers: list[list[int]]) -> list[str]:
    """Let each worker read the arrays of these numbers; return how many each has at the end."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(
            open_sandbox(LIMITS, minimum=ANY, total_memory_bytes=_BOUND_BYTES)
        )
        workspaces = [
            await stack.enter_async_context(sandbox.open(modules=_MODULES, answer=_answer))
            for _ in numbers
        ]
        for workspace, wanted in zip(workspaces, numbers, strict=True):
            await workspace.execute("kept = []")
            for k in wanted:
                await workspace.execute(_READ.format(k))
        return [(await workspace.execute("len(kept)")).output for workspace in workspaces]


@pytest.mark.slow
async def test_an_array_that_several_have_read_is_counted_once() -> None:
    assert await _read([[1], [1], [1]]) == ["1\n"] * 3


@pytest.mark.slow
async def test_different_arrays_are_counted_each() -> None:
    (left,) = await _read([[1, 2, 3]])
    assert "NameError" in left


@pytest.mark.slow
async def test_shared_memory_that_is_no_array_of_the_host_counts_as_any() -> None:
    """Where no filter refuses it."""
    async with (
        open_sandbox(
            Limits(wall_s=10.0),
            minimum=ANY,
            total_memory_bytes=_BOUND_BYTES,
            without=("seccomp",),
        ) as sandbox,
        sandbox.open(modules=_MODULES, answer=_answer) as workspace,
    ):
        hidden = await workspace.execute(_HIDE)
    assert hidden.error is not None
    assert "memory ran out" in hidden.error.message


async def _kept(block: str, n_workers: int, bound_bytes: int) -> list[str]:
    """Let each worker run `block`; return what each says of its variable `a` at the end."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(
            open_sandbox(LIMITS, minimum=ANY, total_memory_bytes=bound_bytes)
        )
        workspaces = [
            await stack.enter_async_context(sandbox.open(modules=_MODULES, answer=_answer))
            for _ in range(n_workers)
        ]
        for workspace in workspaces:
            await workspace.execute(block)
        return [(await workspace.execute("a.shape")).output for workspace in workspaces]


@pytest.mark.slow
async def test_arrays_that_were_dropped_count_no_more() -> None:
    block = _DROP_FOUR.format([10, 11, 12, 13, 1])
    # While one drops four in turn, two arrays are held.
    assert await _kept(block, 3, 3 * _ARRAY_BYTES) == [f"({_ARRAY_BYTES},)\n"] * 3


@pytest.mark.slow
async def test_an_array_that_one_worker_reads_again_and_again_is_counted_once() -> None:
    assert await _read([[1, 1, 1, 1]]) == ["4\n"]


@pytest.mark.slow
async def test_pages_of_libraries_which_all_share_are_not_counted() -> None:
    assert await _kept(_USE_LIBRARIES, 4, 20 << 20) == ["(50, 50)\n"] * 4


@pytest.mark.slow
async def test_arrays_that_a_worker_holds_by_bare_descriptors_are_counted() -> None:
    async with (
        open_sandbox(Limits(wall_s=10.0), minimum=ANY, total_memory_bytes=_BOUND_BYTES) as sandbox,
        sandbox.open(modules=_MODULES, answer=_answer) as workspace,
    ):
        hidden = await workspace.execute(_HOLD_DESCRIPTORS)
    assert hidden.error is not None
    assert "memory ran out" in hidden.error.message


async def test_a_worker_is_looked_at_until_it_was_seen_stopped() -> None:
    ours, its = socket.socketpair()
    process = Process(1, Channel(ours), -1)
    process.go_on()
    assert [process.has_computed() for _ in range(2)] == [True, True]
    process.pause()
    assert [process.has_computed() for _ in range(2)] == [True, False]
    process.close()
    its.close()


def test_what_a_job_uses_is_not_there_for_workers(tmp_path: Path) -> None:
    group = tmp_path / "groups" / "job"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(str(1000 << 20))
    (group / "memory.stat").write_text(f"anon {500 << 20}\nfile {50 << 20}\n")
    (tmp_path / "own").write_text("0::/job\n")
    found = default_bytes(Cgroups(tmp_path / "groups", tmp_path / "own"))
    assert found == int(0.6 * (500 << 20))


def test_a_full_container_leaves_workers_what_a_block_takes(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(str(100 << 20))
    (tmp_path / "memory.stat").write_text(f"anon {100 << 20}\n")
    assert default_bytes(Cgroups(tmp_path)) == 128 << 20
