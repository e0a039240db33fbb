"""Failing turns, on the loop that the engine runs on."""

from asyncio import AbstractEventLoop
from collections.abc import Callable

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """Let what is tested here run on that loop."""
    return {"uvloop": uvloop.new_event_loop}
