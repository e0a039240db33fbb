import asyncio
import gc
import subprocess
import sys
import threading
import time

import pytest

from engine.introspection.background import Background

ENDLESS = """
import asyncio, threading
from engine.introspection.background import Background

async def main():
    Background(n_threads=1).run(threading.Event().wait)

asyncio.run(main())
"""


async def test_results_and_errors_reach_the_loop() -> None:
    background: Background[float] = Background(n_threads=1)
    assert await background.run(lambda: 0.5) == 0.5
    with pytest.raises(ZeroDivisionError):
        await background.run(lambda: 1 / 0)


async def test_no_more_than_the_given_threads_run_at_once() -> None:
    background: Background[int] = Background(n_threads=2)
    running: set[int] = set()
    most = 0

    def work() -> int:
        nonlocal most
        running.add(threading.get_ident())
        most = max(most, len(running))
        time.sleep(0.005)
        running.discard(threading.get_ident())
        return 1

    futures = [background.run(work) for _ in range(20)]
    assert sum([await future for future in futures]) == 20
    assert most <= 2


async def test_a_cancelled_wait_leaves_the_threads_working() -> None:
    background: Background[bool] = Background(n_threads=1)
    may_end = threading.Event()
    background.run(lambda: may_end.wait(30)).cancel()
    may_end.set()
    assert await background.run(lambda: True)


async def test_threads_end_with_their_owner() -> None:
    before = threading.active_count()
    background: Background[bool] = Background(n_threads=1)
    assert await background.run(lambda: True)
    del background
    gc.collect()
    async with asyncio.timeout(120):
        while threading.active_count() > before:
            await asyncio.sleep(0.01)


class _Owner:
    """Has its own work done beside the loop."""

    def __init__(self) -> None:
        self.background: Background[bool] = Background(n_threads=1)

    def work(self) -> bool:
        return True


async def test_threads_end_with_an_owner_whose_own_work_they_did() -> None:
    before = threading.active_count()
    owner = _Owner()
    assert await owner.background.run(owner.work)
    del owner
    gc.collect()
    async with asyncio.timeout(120):
        while threading.active_count() > before:
            await asyncio.sleep(0.01)


def test_work_without_end_does_not_hold_up_the_end_of_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDLESS], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
