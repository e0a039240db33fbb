"""Asynchronous model code: tasks, timers and locks work, what needs a socket is refused."""

import pytest

from engine.sandbox.workspace import ProcessWorkspace

pytestmark = pytest.mark.asyncio(loop_scope="module")

_TASKS = """
import asyncio
async def double(n):
    await asyncio.sleep(0.001)
    return 2 * n
async def doubled():
    return await asyncio.gather(*map(double, range(3)))
print(asyncio.run(doubled()))
"""
_LATE = """
import asyncio
async def wait():
    async with asyncio.timeout(0.001):
        await asyncio.Event().wait()
asyncio.run(wait())
"""


async def test_tasks_run(workspace: ProcessWorkspace) -> None:
    execution = await workspace.execute(_TASKS)
    assert (execution.error, execution.output) == (None, "[0, 2, 4]\n")


async def test_a_timeout_ends_what_waits(workspace: ProcessWorkspace) -> None:
    execution = await workspace.execute(_LATE)
    assert execution.error is not None
    assert execution.error.kind == "TimeoutError"


async def test_a_connection_is_refused_and_nothing_is_left_to_complain(
    workspace: ProcessWorkspace,
) -> None:
    execution = await workspace.execute(
        "import asyncio\nasyncio.run(asyncio.open_connection('127.0.0.1', 80))"
    )
    assert execution.error is not None
    assert execution.error.kind == "PermissionError"
    assert "Exception ignored" not in execution.output
