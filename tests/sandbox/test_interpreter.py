"""What Python says of a block: the line it means, each warning, and no frame of the engine's."""

import pytest

from engine.sandbox.workspace import ProcessWorkspace

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("sign", ["\u2028", "\x0c", "\x85", "\x1c", "\x0b"])
async def test_a_traceback_quotes_the_line_whatever_signs_are_in_texts_before(
    workspace: ProcessWorkspace, sign: str
) -> None:
    execution = await workspace.execute(f"s = 'a{sign}b'\nx = 1\nx / 0\n")
    assert "line 3, in <module>\n    x / 0\n    ~~^~~\n" in execution.output


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
async def test_a_traceback_quotes_the_line_whatever_ends_lines(
    workspace: ProcessWorkspace, line_end: str
) -> None:
    execution = await workspace.execute(line_end.join(["x = 1", "x / 0", "y = 2"]))
    assert "line 2, in <module>\n    x / 0\n    ~~^~~\n" in execution.output


@pytest.mark.parametrize("end", ["", "\n"])
async def test_marks_are_below_what_they_mark_however_the_block_ends(
    workspace: ProcessWorkspace, end: str
) -> None:
    execution = await workspace.execute(f"print(int('a')){end}")
    assert "    print(int('a'))\n          ^^^^^^^^\n" in execution.output


async def test_a_warning_is_told_in_every_block_that_earns_it(workspace: ProcessWorkspace) -> None:
    blocks = ["import numpy as np\nnp.log(np.zeros(1))", "x = 1\nnp.log(np.zeros(1))"]
    outputs = [(await workspace.execute(block)).output for block in blocks]
    assert ["RuntimeWarning: divide by zero" in output for output in outputs] == [True, True]


_GROUP = """
import json
from introspection import probe
errors = []
for kind in ("ValueError", "KeyError"):
    try:
        probe.ask("refuse", kind=kind, message="no")
    except Exception as error:
        errors.append(error)
raise ExceptionGroup("many", errors)
"""


async def test_a_group_of_exceptions_shows_no_frame_of_the_engine(
    workspace: ProcessWorkspace,
) -> None:
    execution = await workspace.execute(_GROUP)
    assert "ValueError: no" in execution.output
    assert "engine" not in execution.output
    assert "<introspection.probe>" not in execution.output
