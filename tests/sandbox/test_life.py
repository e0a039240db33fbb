"""Processes, memory and descriptors: what lives, what dies with whom, what is left."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from engine.errors import SandboxError
from engine.sandbox import Limits, Tier
from engine.sandbox.host import open_sandbox
from tests.processes import children
from tests.sandbox.workshop import LIMITS, opened

ANY = Tier.CONTAINED_ONLY
_PROGRAM = """
import asyncio, sys
from engine.sandbox import Tier
from engine.sandbox.host import open_sandbox
from tests.sandbox.workshop import LIMITS, opened

async def spin(sandbox):
    async with opened(sandbox) as workspace:
        await workspace.execute("print('up')")
        print("up", flush=True)
        await workspace.execute("while True: pass")

async def main():
    async with open_sandbox(LIMITS, minimum=Tier.CONTAINED_ONLY) as sandbox:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(5):
                tasks.create_task(spin(sandbox))

asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_killed_engine_leaves_no_process() -> None:
    engine = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PROGRAM,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert engine.stdout is not None
    for _ in range(5):
        assert await engine.stdout.readline() == b"up\n"
    others = psutil.Process(engine.pid).children(recursive=True)
    assert len(others) >= 6
    engine.kill()
    await engine.wait()
    _gone, alive = psutil.wait_procs(others, timeout=60)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


async def test_a_lost_zygote_is_a_sandbox_error() -> None:
    others = children()
    async with open_sandbox(LIMITS, minimum=ANY) as sandbox, opened(sandbox) as workspace:
        await workspace.execute("x = 1")
        for process in children() - others:
            # The zygote takes the others with it, some before their turn here.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        lost = await workspace.execute("1")
        assert lost.error is not None
        assert lost.error.kind == "NamespaceLost"
        with pytest.raises(SandboxError, match="zygote"):
            await workspace.execute("1")


async def test_the_worker_that_holds_most_is_ended_when_memory_runs_out() -> None:
    limits = Limits(wall_s=60.0)
    hungry = "import time\nb = bytearray(300 << 20)\ntime.sleep(20)"
    async with (
        open_sandbox(limits, minimum=ANY, total_memory_bytes=100 << 20) as sandbox,
        opened(sandbox) as modest,
        opened(sandbox) as greedy,
    ):
        await modest.execute("x = bytearray(10 << 20)")
        ended = await greedy.execute(hungry)
        kept = await modest.execute("print(len(x) >> 20)")
    assert ended.error is not None
    assert ended.error.kind == "NamespaceLost"
    assert "memory" in ended.error.message
    assert kept.output == "10\n"


async def test_a_worker_has_its_own_memory_limit() -> None:
    limits = Limits(wall_s=60.0, memory_bytes=400 << 20)
    async with open_sandbox(limits, minimum=ANY) as sandbox, opened(sandbox) as workspace:
        bomb = await workspace.execute("x = 1\nb = bytearray(500 << 20)")
        kept = await workspace.execute("x")
    assert bomb.error is not None
    assert bomb.error.kind == "MemoryError"
    assert kept.output == "1\n"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_workers_that_came_and_went_leave_nothing() -> None:
    me, others = psutil.Process(), children()
    async with open_sandbox(LIMITS, minimum=ANY) as sandbox:
        sizes: list[tuple[int, int]] = []
        for n_workers in (100, 150, 150):
            for _ in range(n_workers):
                async with opened(sandbox) as workspace:
                    await workspace.execute("1")
            gc.collect()
            sizes.append((me.num_fds(), me.memory_info().rss))
            assert len(_living(others)) <= 2
    fds, memory = zip(*sizes, strict=True)
    assert len(set(fds)) == 1
    assert memory[2] - memory[1] < 3 << 20


def _living(others: set[psutil.Process]) -> set[psutil.Process]:
    """Zygote and its stand-in beside the `others`; a worker may take a moment to be reaped."""
    deadline = time.monotonic() + 60
    while len(found := children() - others) > 2 and time.monotonic() < deadline:
        os.sched_yield()
    return found
