"""Measure the sandbox: spawn, block, question, throughput, memory, kill, fairness, leaks.

    python scripts/bench_sandbox.py [--workers 100] [--memory-workers 500] [--leak-workers 10000]

Prints one line per figure with its goal. Goals are for 2 idle cores; a busy machine misses them
without anything being wrong.
"""

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from engine.sandbox import Limits, Tier
from engine.sandbox.host import ProcessSandbox, open_sandbox
from engine.sandbox.workspace import ProcessWorkspace

_LIMITS = Limits(wall_s=30.0, output_chars=20_000)
_MODULES = {"m": "def ask(k):\n    return _ask('m.ask', {'k': k})\n"}
_ANY = Tier.CONTAINED_ONLY
_SVD = "import numpy as np\nx = np.linalg.svd(np.random.rand(100, 100))[1][0]"


async def _answer(_method: str, arguments: Mapping[str, object]) -> object:
    return {"k": arguments["k"], "shape": [64, 64]}


def _show(what: str, value: float, unit: str, goal: str = "") -> None:
    print(f"{what:<58} {value:>10.2f} {unit:<9} {goal}")


def _show_times(what: str, times_s: list[float], unit: str, goal: str = "") -> None:
    scale = {"ms": 1e3, "us": 1e6}[unit]
    ordered = sorted(times_s)
    _show(f"{what}, p50", ordered[len(ordered) // 2] * scale, unit, goal)
    _show(f"{what}, p95", ordered[int(len(ordered) * 0.95)] * scale, unit)


async def _open_many(
    stack: AsyncExitStack, sandbox: ProcessSandbox, n_workers: int
) -> tuple[list[ProcessWorkspace], list[float]]:
    workspaces: list[ProcessWorkspace] = []
    times_s: list[float] = []
    for _ in range(n_workers):
        started = time.perf_counter()
        context = sandbox.open(modules=_MODULES, answer=_answer)
        workspaces.append(await stack.enter_async_context(context))
        await workspaces[-1].start()
        times_s.append(time.perf_counter() - started)
    return workspaces, times_s


async def _timed(workspace: ProcessWorkspace, block: str, n_times: int) -> list[float]:
    times_s: list[float] = []
    for _ in range(n_times):
        started = time.perf_counter()
        execution = await workspace.execute(block)
        times_s.append(time.perf_counter() - started)
        assert execution.error is None, execution
    return times_s


async def _throughput(workspaces: list[ProcessWorkspace], block: str, n_times: int) -> float:
    """Return blocks per second with all workspaces at work."""
    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for workspace in workspaces:
            tasks.create_task(_timed(workspace, block, n_times))
    return len(workspaces) * n_times / (time.perf_counter() - started)


async def _bench_speed(n_workers: int) -> None:
    started = time.perf_counter()
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(open_sandbox(_LIMITS, minimum=_ANY))
        print(f"tier {sandbox.tier}; walls: {', '.join(sandbox.walls) or 'none'}")
        _show("zygote ready", (time.perf_counter() - started) * 1e3, "ms")
        workspaces, spawns_s = await _open_many(stack, sandbox, n_workers)
        _show_times(f"spawn, {n_workers} workers one after another", spawns_s, "ms", "<= 10")
        one = workspaces[0]
        await _timed(one, "y = 1", 50)
        _show_times("block round trip", await _timed(one, "y = 1", 2_000), "us", "<= 300")
        block = "import m\nfor _ in range(100): m.ask(1)"
        asks = [spent / 100 for spent in await _timed(one, block, 30)]
        _show_times("question round trip", asks, "us")
        rate = await _throughput(workspaces, "y = 1", 100)
        _show(f"trivial blocks, {n_workers} workers", rate, "blocks/s", ">= 3000")
        _show(
            f"100x100 SVD, {n_workers} workers", await _throughput(workspaces, _SVD, 10), "blocks/s"
        )


async def _bench_kill(n_times: int) -> None:
    """From the code's own end of its process to the execution that tells it."""
    times_s: list[float] = []
    async with (
        open_sandbox(_LIMITS, minimum=_ANY) as sandbox,
        sandbox.open(modules={}, answer=_answer) as workspace,
    ):
        for _ in range(n_times):
            execution = await workspace.execute(
                "import os, time\nprint(time.clock_gettime(time.CLOCK_MONOTONIC))\nos._exit(0)"
            )
            times_s.append(
                time.clock_gettime(time.CLOCK_MONOTONIC) - _first_number(execution.output)
            )
    _show_times("end of a worker to noticed", times_s, "ms", "<= 10")


def _first_number(text: str) -> float:
    return float(text.split(maxsplit=1)[0])


async def _bench_fairness(n_spinners: int) -> None:
    limits = Limits(wall_s=1.0)
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(open_sandbox(limits, minimum=_ANY))
        workspaces, _ = await _open_many(stack, sandbox, n_spinners + 1)
        honest, *spinners = workspaces
        times_s: list[float] = []
        started = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one.execute("while True: pass")) for one in spinners]
            while not all(task.done() for task in running):
                times_s += await _timed(honest, "y = 1", 1)
                await asyncio.sleep(0.05)
        _show_times(f"honest block beside {n_spinners} endless loops", times_s, "ms")
        _show("the same, longest", max(times_s) * 1e3, "ms", "< 1000")
        _show("all of them ended after", time.perf_counter() - started, "s")


async def _bench_memory(n_workers: int) -> None:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(open_sandbox(_LIMITS, minimum=_ANY))
        workspaces, spawns_s = await _open_many(stack, sandbox, n_workers)
        _show_times(f"spawn, {n_workers} workers", spawns_s, "ms")
        fresh = _mean_pss_mib()
        for workspace in workspaces:
            await workspace.execute(_SVD)
        _show(f"PSS per worker, {n_workers} workers, fresh", fresh, "MiB")
        _show(f"PSS per worker, {n_workers} workers, after numpy", _mean_pss_mib(), "MiB", "<= 6")


def _mean_pss_mib() -> float:
    """Mean over all processes of the sandbox; needs root, for sealed workers cannot be read."""
    sizes: list[int] = []
    for process in psutil.Process().children(recursive=True):
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text("ascii")
        sizes.append(int(text.partition("\nPss:")[2].split()[0]))
    return statistics.mean(sizes) / 1024


async def _bench_leaks(n_workers: int) -> None:
    me = psutil.Process()
    async with open_sandbox(_LIMITS, minimum=_ANY) as sandbox:
        await _come_and_go(sandbox, n_workers // 10)
        before = me.num_fds(), me.memory_info().rss
        started = time.perf_counter()
        await _come_and_go(sandbox, n_workers)
        rate = n_workers / (time.perf_counter() - started)
        gc.collect()
        _show(f"workers started and ended, {n_workers}", rate, "workers/s")
        _show("descriptors of the engine, more than before", me.num_fds() - before[0], "", "0")
        grown = (me.memory_info().rss - before[1]) / 2**20
        _show("memory of the engine, more than before", grown, "MiB", "~0")


async def _come_and_go(sandbox: ProcessSandbox, n_workers: int) -> None:
    for _ in range(n_workers):
        async with sandbox.open(modules=_MODULES, answer=_answer) as workspace:
            await workspace.execute("y = 1")


async def _main(n_workers: int, n_memory_workers: int, n_leak_workers: int) -> None:
    await _bench_speed(n_workers)
    await _bench_kill(50)
    await _bench_fairness(n_workers)
    if n_memory_workers:
        await _bench_memory(n_memory_workers)
    if n_leak_workers:
        await _bench_leaks(n_leak_workers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--memory-workers", type=int, default=500)
    parser.add_argument("--leak-workers", type=int, default=10_000)
    options = parser.parse_args()
    asyncio.run(_main(options.workers, options.memory_workers, options.leak_workers))
