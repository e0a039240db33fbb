"""Something done again and again while a block runs, on the event loop."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def every(period_s: float, act: Callable[[], None], *, first_s: float = 0.0) -> Generator[None]:
    """Call `act` after `first_s` and every `period_s` from then on, until the block ends."""
    loop = asyncio.get_running_loop()

    def tick() -> None:
        nonlocal timer
        timer = loop.call_later(period_s, tick)
        act()

    timer = loop.call_later(first_s, tick)
    try:
        yield
    finally:
        timer.cancel()
