"""What a block of code finds, leaves behind and gives back."""

import asyncio

import msgspec
import pytest

from engine.errors import SandboxError
from engine.revival import Revival
from engine.sandbox.host import ProcessSandbox
from engine.sandbox.workspace import ProcessWorkspace
from engine.transcript import Call, Execution, ExecutionError
from tests.sandbox.workshop import answer, opened

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _outputs(workspace: ProcessWorkspace, *blocks: str) -> list[str]:
    executions = [await workspace.execute(block) for block in blocks]
    assert [execution.error for execution in executions] == [None] * len(blocks), executions
    return [execution.output for execution in executions]


@pytest.mark.parametrize(
    "block",
    [
        "def f(): return x + helper()\nprint(f())",
        "print([x + helper() for _ in range(1)][0])",
        "class A:\n    y = x + helper()\n    def get(self): return x + helper()\nprint(A().get())",
        "print((lambda: x + helper())())",
        "print(sum(x + helper() for _ in range(1)))",
        "exec('print(x + helper())')",
        "globals()['z'] = x\nprint(z + helper())",
    ],
)
async def test_every_scope_sees_what_earlier_blocks_defined(
    workspace: ProcessWorkspace, block: str
) -> None:
    outputs = await _outputs(workspace, "x = 40", "def helper(): return 2", block)
    assert outputs[-1] == "42\n"


async def test_imports_persist(workspace: ProcessWorkspace) -> None:
    outputs = await _outputs(workspace, "import math as m", "print(m.sqrt(49))")
    assert outputs[-1] == "7.0\n"


async def test_a_block_larger_than_its_channel_reaches_a_worker_that_is_stopped(
    workspace: ProcessWorkspace,
) -> None:
    outputs = await _outputs(workspace, "x = 1", f"y = '{'a' * 990_000}'\nprint(x, len(y))")
    assert outputs[-1] == "1 990000\n"


async def test_the_namespace_is_that_of_main(workspace: ProcessWorkspace) -> None:
    (output,) = await _outputs(
        workspace,
        "import pickle\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass A:\n    x: int\n"
        "print(__name__, pickle.loads(pickle.dumps(A(1))))",
    )
    assert output == "__main__ A(x=1)\n"


@pytest.mark.parametrize(
    ("block", "output"),
    [
        ("1 + 1", "2\n"),
        ("x = 3\nx", "3\n"),
        ("'text'", "'text'\n"),
        ("None", ""),
        ("x = 3", ""),
        ("print(1)", "1\n"),
        ("1\n2", "2\n"),
        ("if True:\n    5", ""),
        ("5;", "5\n"),
        ("5  # five", "5\n"),
    ],
)
async def test_a_lone_expression_at_the_end_is_echoed(
    workspace: ProcessWorkspace, block: str, output: str
) -> None:
    assert await _outputs(workspace, block) == [output]


async def test_the_last_echo_is_kept_in_underscore(workspace: ProcessWorkspace) -> None:
    assert (await _outputs(workspace, "6 * 7", "print(_)"))[-1] == "42\n"


async def test_both_streams_are_kept_in_order(workspace: ProcessWorkspace) -> None:
    (output,) = await _outputs(
        workspace, "import sys\nprint(1)\nprint(2, file=sys.stderr)\nprint(3)"
    )
    assert output == "1\n2\n3\n"


async def test_a_raising_block_gives_its_partial_output_and_the_error(
    workspace: ProcessWorkspace,
) -> None:
    execution = await workspace.execute("print('before')\nx = 1\n1 / 0")
    assert execution.error == ExecutionError("ZeroDivisionError", "division by zero")
    assert execution.output.startswith("before\nTraceback (most recent call last):\n")
    assert 'File "<block 1>", line 3, in <module>\n    1 / 0\n' in execution.output
    assert execution.output.endswith("ZeroDivisionError: division by zero\n")
    assert await _outputs(workspace, "x") == ["1\n"]


async def test_a_traceback_shows_only_what_is_the_models(workspace: ProcessWorkspace) -> None:
    execution = await workspace.execute(
        "from introspection import probe\n"
        "probe.ask('refuse', kind='KeyError', message='no such layer')"
    )
    assert execution.output == (
        "Traceback (most recent call last):\n"
        '  File "<block 1>", line 2, in <module>\n'
        "    probe.ask('refuse', kind='KeyError', message='no such layer')\n"
        "KeyError: 'no such layer'\n"
    )


async def test_frames_of_the_standard_library_have_public_names(
    workspace: ProcessWorkspace,
) -> None:
    execution = await workspace.execute("import json\njson.loads('{')")
    assert 'File "/python/json/decoder.py"' in execution.output


async def test_a_syntax_error_points_at_its_line(workspace: ProcessWorkspace) -> None:
    execution = await workspace.execute("x = 1\ny = (")
    assert execution.error is not None
    assert execution.error.kind == "SyntaxError"
    assert execution.output.startswith('  File "<block 1>", line 2\n    y = (\n')
    assert "Traceback" not in execution.output


async def test_nothing_of_a_block_with_a_syntax_error_is_run(workspace: ProcessWorkspace) -> None:
    await workspace.execute("print('run')\nx = (")
    execution = await workspace.execute("x")
    assert execution.error is not None
    assert execution.error.kind == "NameError"


async def test_output_beyond_the_cap_is_dropped_and_said_so(workspace: ProcessWorkspace) -> None:
    (output,) = await _outputs(workspace, "print('x' * 50_000)")
    assert output == "x" * 10_000 + "\n[40,001 more characters were printed and dropped]\n"


async def test_there_is_nobody_to_ask_for_input(workspace: ProcessWorkspace) -> None:
    execution = await workspace.execute("input('name? ')")
    assert execution.error == ExecutionError("EOFError", "EOF when reading a line")


@pytest.mark.parametrize("block", ["exit()", "quit()", "import sys; sys.exit(0)"])
async def test_leaving_ends_the_block_only(workspace: ProcessWorkspace, block: str) -> None:
    outputs = await _outputs(workspace, "x = 1", f"print('a')\n{block}\nprint('b')", "x")
    assert outputs[1:] == ["a\n", "1\n"]


async def test_a_lost_process_is_told_and_the_next_one_is_empty(
    workspace: ProcessWorkspace,
) -> None:
    await workspace.execute("x = 1")
    lost = await workspace.execute("print('said')\nimport os\nos._exit(7)")
    after = await workspace.execute("x")
    assert lost.error is not None
    assert lost.error.kind == "NamespaceLost"
    assert "exit status 7" in lost.error.message
    assert lost.output.startswith("said\n")
    assert after.error is not None
    assert after.error.kind == "NameError"


_CALLED_LOST = "class NamespaceLost(Exception): pass\nraise NamespaceLost('boo')"


async def test_an_exception_called_like_the_loss_of_the_process_is_none(
    workspace: ProcessWorkspace,
) -> None:
    await workspace.execute("x = 41")
    raised = await workspace.execute(_CALLED_LOST)
    assert raised.error == ExecutionError("__main__.NamespaceLost", "boo")
    assert raised.output.endswith("\nNamespaceLost: boo\n")
    assert await _outputs(workspace, "x + 1") == ["42\n"]


async def test_a_revived_namespace_has_what_was_before_such_an_exception(
    sandbox: ProcessSandbox, workspace: ProcessWorkspace
) -> None:
    done = [await workspace.execute(code) for code in ("x = 41", _CALLED_LOST)]
    async with opened(sandbox) as again:
        assert await Revival(done, answer).run(again)
        assert await _outputs(again, "x + 1") == ["42\n"]


_ASK_BY_OBJECT = """
from dataclasses import dataclass
from introspection import probe
@dataclass(frozen=True)
class Key:
    number: int = 1
probe.ask("echo", x={Key(): 2})
"""


async def test_an_argument_that_cannot_be_read_costs_no_variables(
    workspace: ProcessWorkspace,
) -> None:
    await workspace.execute("x = 41")
    refused = await workspace.execute(_ASK_BY_OBJECT)
    assert refused.error
    assert await _outputs(workspace, "x + 1") == ["42\n"]


@pytest.mark.parametrize(
    "deed",
    [
        "deep",
        "print(deep)",
        "raise ValueError(deep)",
        "import json; json.dumps(deep)",
        "probe.ask('echo', x=deep)",
        "def f(n): return f(n + 1)\nf(0)",
        "def f(n): return sorted([2, 1], key=f)\nf(0)",
        "class A:\n    def __add__(self, other): return np.array([self], object) + 1\nA() + 1",
    ],
)
async def test_a_lifted_recursion_limit_costs_no_variables(
    workspace: ProcessWorkspace, deed: str
) -> None:
    lifted = (
        "import sys, numpy as np\nfrom introspection import probe\nsys.setrecursionlimit(10**9)"
    )
    await _outputs(workspace, f"{lifted}\nkept, deep = 1, []\nfor _ in range(10**6): deep = [deep]")
    execution = await workspace.execute(deed)
    assert execution.error
    assert execution.error.kind in {"RecursionError", "ValueError"}
    assert await _outputs(workspace, "print(kept)") == ["1\n"]


async def test_the_recursion_limit_is_told_as_it_is(workspace: ProcessWorkspace) -> None:
    said = await _outputs(
        workspace,
        "import sys\nsys.setrecursionlimit(5_000)\nsys.getrecursionlimit()",
        "sys.setrecursionlimit(10**6)\nsys.getrecursionlimit()",
        "help(sys.setrecursionlimit)",
    )
    assert said[:2] == ["5000\n", "10000\n"]
    assert "at most 10,000" in said[2]


async def test_a_block_that_asked_with_what_json_lacks_is_revived_exactly(
    sandbox: ProcessSandbox, workspace: ProcessWorkspace
) -> None:
    code = "from introspection import probe\nprint(probe.ask('echo', x=float('nan'))['method'])"
    done = await workspace.execute(code)
    assert done.output == "echo\n"
    recorded = msgspec.json.decode(msgspec.json.encode(done), type=Execution)
    async with opened(sandbox) as again:
        assert await Revival([recorded], answer).run(again)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("\\x1b]0;owned\\x07\\x1b[2JE", "E"),
        ("\\x1b[2J", "Exception"),
        ("Namespace\\x1b[2JLost", "__main__.NamespaceLost"),
    ],
)
async def test_the_kind_of_an_error_is_plain_text(
    workspace: ProcessWorkspace, name: str, kind: str
) -> None:
    execution = await workspace.execute(f"raise type('{name}', (Exception,), {{}})('m')")
    assert execution.error == ExecutionError(kind, "m")


async def test_the_modules_explain_themselves(workspace: ProcessWorkspace) -> None:
    (output,) = await _outputs(
        workspace,
        "import inspect, introspection\nfrom introspection import weights\nhelp(weights)\n"
        "print(inspect.signature(weights.statistics))\n"
        "print([n for n in dir(weights) if n[0] != '_'], hasattr(introspection, 'probe'))",
    )
    assert "Return the statistics of one parameter." in output
    assert "(name: str, k: int = 3) -> dict\n['statistics'] True\n" in output


async def test_help_on_the_package_names_its_modules(workspace: ProcessWorkspace) -> None:
    (output,) = await _outputs(workspace, "import introspection\nhelp(introspection)")
    assert "probe\n    weights" in output
    assert "_ask" not in output


async def test_calls_are_recorded_in_order_with_answer_or_error(
    workspace: ProcessWorkspace,
) -> None:
    execution = await workspace.execute(
        "from introspection import probe, weights\nprint(weights.statistics('w')['k'])\n"
        "try:\n    probe.ask('refuse', kind='ValueError', message='no')\n"
        "except ValueError as error:\n    print(error)"
    )
    first: dict[str, object] = {"name": "w", "k": 3}
    assert execution.output == "3\nno\n"
    assert execution.calls == (
        Call(
            method="weights.statistics",
            arguments=first,
            answer={"method": "weights.statistics", **first},
        ),
        Call(
            method="refuse",
            arguments={"kind": "ValueError", "message": "no"},
            error=ExecutionError("ValueError", "no"),
        ),
    )


async def test_a_block_can_be_repeated_with_recorded_answers(sandbox: ProcessSandbox) -> None:
    block = "from introspection import weights\nprint({*'abc'}, weights.statistics('w'))"
    async with opened(sandbox) as workspace:
        recorded = await workspace.execute(block)
    pending = iter(recorded.calls)

    async def replayed(_method: str, _arguments: object) -> object:
        return next(pending).answer

    modules = {"introspection.weights": "def statistics(name): return _ask('x', {'name': name})"}
    async with sandbox.open(modules=modules, answer=replayed) as workspace:
        assert (await workspace.execute(block)).output == recorded.output


async def test_two_processes_draw_different_random_numbers(sandbox: ProcessSandbox) -> None:
    block = "import random, numpy as np\nprint(random.random(), np.random.rand())"
    async with opened(sandbox) as one, opened(sandbox) as other:
        first, second = await _outputs(one, block), await _outputs(other, block)
    assert not set(first[0].split()) & set(second[0].split())


async def test_a_seed_gives_the_same_random_numbers_again(sandbox: ProcessSandbox) -> None:
    block = "import random, numpy as np\nprint(random.random(), np.random.rand())"
    async with opened(sandbox, seed=5) as one, opened(sandbox, seed=5) as other:
        assert await _outputs(one, block) == await _outputs(other, block)


async def test_workspaces_share_nothing(sandbox: ProcessSandbox) -> None:
    async with opened(sandbox) as one, opened(sandbox) as other:
        await _outputs(one, "x = 1\nimport json\njson.x = 1")
        execution = await other.execute("import json\nprint(hasattr(json, 'x'))\nx")
    assert execution.output.startswith("False\n")
    assert execution.error is not None
    assert execution.error.kind == "NameError"


@pytest.mark.parametrize(
    "module",
    [
        "statistics",
        "itertools",
        "json",
        "re",
        "math",
        "random",
        "collections",
        "textwrap",
        "mailbox",
        "wave",
        "sched",
        "fractions",
        "numpy.linalg",
        "numpy.fft",
        "numpy.polynomial",
        "concurrent.futures",
        "xml.dom.minidom",
    ],
)
async def test_the_standard_library_and_numpy_can_be_imported(
    workspace: ProcessWorkspace, module: str
) -> None:
    assert await _outputs(workspace, f"import {module}\nprint({module}.__name__)") == [
        f"{module}\n"
    ]


async def test_what_cannot_be_imported_is_told_with_what_can(workspace: ProcessWorkspace) -> None:
    execution = await workspace.execute("import torch")
    assert execution.error is not None
    assert execution.error.kind == "ModuleNotFoundError"
    assert "numpy, introspection" in execution.error.message


@pytest.mark.parametrize(
    ("source", "kind"), [("1 / 0", "ZeroDivisionError"), ("1 /", "SyntaxError")]
)
async def test_a_module_that_cannot_be_loaded_is_our_fault(
    sandbox: ProcessSandbox, source: str, kind: str
) -> None:
    async with sandbox.open(modules={"broken": source}, answer=answer) as workspace:
        with pytest.raises(SandboxError, match=kind):
            await workspace.execute("1")


async def test_a_defect_of_the_host_is_not_shown_to_the_model(sandbox: ProcessSandbox) -> None:
    async def broken(_method: str, _arguments: object) -> object:
        raise ZeroDivisionError

    block = "import m\nm.f()"
    async with sandbox.open(modules={"m": "def f(): _ask('x', {})"}, answer=broken) as workspace:
        with pytest.raises(ZeroDivisionError):
            await workspace.execute(block)
        assert (await workspace.execute("1")).output == "1\n"


async def test_a_cancelled_block_is_ended(sandbox: ProcessSandbox) -> None:
    async with opened(sandbox) as workspace:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await workspace.execute("while True: pass")
        assert (await workspace.execute("print('again')")).output == "again\n"


async def test_the_model_gets_what_the_journal_keeps(sandbox: ProcessSandbox) -> None:
    async def answered(_method: str, _arguments: object) -> object:
        return {1: float("nan"), "pair": (1, 2)}

    block = "import m\nprint(m.f())"
    modules = {"m": "def f(): return _ask('x', {})"}
    async with sandbox.open(modules=modules, answer=answered) as workspace:
        execution = await workspace.execute(block)
    assert execution.output == "{'1': None, 'pair': [1, 2]}\n"
    assert execution.calls[0].answer == {"1": None, "pair": [1, 2]}


LATER = {
    "introspection": '"""What can be known, now more."""\nfrom introspection import later\n',
    "introspection.later": '"""Given later."""\n\ndef ask():\n    return _ask("later", {})\n',
}
_USE_LATER = "from introspection import later\nprint(x, later.ask()['method'])"


async def test_a_module_given_later_can_be_imported_beside_the_variables_of_before(
    workspace: ProcessWorkspace,
) -> None:
    await _outputs(workspace, "import introspection\nx = 1")
    before = await workspace.execute("import introspection.later")
    workspace.give(LATER)
    assert before.error == ExecutionError(
        "ModuleNotFoundError", "No module named 'introspection.later'"
    )
    assert await _outputs(workspace, _USE_LATER, "print(introspection.__doc__)") == [
        "1 later\n",
        "What can be known, now more.\n",
    ]


async def test_a_module_given_before_the_first_block_is_there(workspace: ProcessWorkspace) -> None:
    workspace.give(LATER)
    assert await _outputs(workspace, f"x = 1\n{_USE_LATER}") == ["1 later\n"]


async def test_a_new_process_has_the_modules_that_the_lost_one_was_given(
    workspace: ProcessWorkspace,
) -> None:
    await _outputs(workspace, "x = 1")
    workspace.give(LATER)
    await workspace.execute("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nos._exit(1)")
    assert await _outputs(workspace, f"x = 2\n{_USE_LATER}") == ["2 later\n"]


@pytest.mark.parametrize(
    "bent",
    [
        "import sys\nsys.meta_path.clear()",
        "import sys\nsys.modules['introspection'] = 5",
        "import importlib\nimportlib.reload = None",
    ],
)
async def test_imports_that_code_has_bent_cost_the_process_and_nothing_else(
    workspace: ProcessWorkspace, bent: str
) -> None:
    await _outputs(workspace, f"print('before')\n{bent}")
    workspace.give(LATER)
    lost = await workspace.execute("print(1)")
    assert lost.error is not None
    assert lost.error.kind == "NamespaceLost"
    assert "before" not in lost.output
    assert await _outputs(workspace, f"x = 3\n{_USE_LATER}") == ["3 later\n"]
