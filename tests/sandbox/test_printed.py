"""The stream that stands for stdout: whatever a script does with a real one."""

import pytest

from engine.sandbox.workspace import ProcessWorkspace

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_reconfiguring_stdout_changes_nothing(workspace: ProcessWorkspace) -> None:
    execution = await workspace.execute(
        "import sys\nsys.stdout.reconfigure(encoding='utf-8', line_buffering=True)\n"
        "print('é', sys.stdout.line_buffering, sys.stdout.write_through)"
    )
    assert (execution.error, execution.output) == (None, "é False False\n")
