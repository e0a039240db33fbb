"""Few threads beside the event loop for work that would block it.

The threads are daemons: a computation under way never holds up the end of the program.
"""

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
_Jobs = SimpleQueue[Callable[[], None] | None]


class Background(Generic[T]):
    """Runs functions that return `T`, at most `n_threads` at a time, in the order of asking."""

    def __init__(self, *, n_threads: int) -> None:
        """Start no thread before there is work."""
        self._n_threads = n_threads
        self._n_started = 0
        self._jobs: _Jobs = SimpleQueue()
        weakref.finalize(self, _end, self._jobs, n_threads)

    def run(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Return the future result of `function`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def deliver(result: T | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # pyright: ignore[reportArgumentType] - T may hold None

        def job() -> None:
            result, error = None, None
            try:
                result = function()
            except Exception as raised:  # noqa: BLE001 - it is handed to whoever waits
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has ended, nobody waits
                loop.call_soon_threadsafe(deliver, result, error)

        self._jobs.put(job)
        self._start_thread()
        return future

    def _start_thread(self) -> None:
        if self._n_started < self._n_threads:
            self._n_started += 1
            threading.Thread(target=_serve, args=(self._jobs,), daemon=True).start()


def _serve(jobs: _Jobs) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # it may hold the owner of this thread, who would never go


def _end(jobs: _Jobs, n_threads: int) -> None:
    for _ in range(n_threads):
        jobs.put(None)
