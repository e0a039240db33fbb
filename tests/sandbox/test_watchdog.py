"""All workers together: who is ended when memory runs out, and who is not."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

import numpy as np
import pytest

from engine.sandbox import Limits, Tier
from engine.sandbox.host import open_sandbox
from tests.sandbox.workshop import LIMITS

ANY = Tier.CONTAINED_ONLY
_BOUND_BYTES = 128 << 20
_ARRAY_BYTES = 64 << 20
_MODULES = {"m": "def get(k):\n    return _ask('m.get', {'k': k})\n"}
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
