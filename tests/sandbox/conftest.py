"""One zygote per test file: tests share the sandbox, never a workspace."""

from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Callable

import pytest_asyncio
import uvloop

from engine.sandbox import Tier
from engine.sandbox.host import ProcessSandbox, open_sandbox
from engine.sandbox.workspace import ProcessWorkspace
from tests.sandbox.workshop import LIMITS, opened


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """Let what is tested here run on the loop that the engine runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox() -> AsyncGenerator[ProcessSandbox]:
    """The best that there is on this machine."""
    async with open_sandbox(LIMITS, minimum=Tier.CONTAINED_ONLY) as sandbox:
        yield sandbox


@pytest_asyncio.fixture(loop_scope="module")
async def workspace(sandbox: ProcessSandbox) -> AsyncGenerator[ProcessWorkspace]:
    """A fresh one."""
    async with opened(sandbox) as workspace:
        yield workspace
