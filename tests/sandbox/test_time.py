"""Time limits, cores and slow answers."""

import asyncio

import psutil
import pytest
import uvloop

from engine.sandbox import Limits, Tier
from engine.sandbox.cores import Cores, Places
from engine.sandbox.host import ProcessSandbox, open_sandbox
from tests.sandbox.workshop import LIMITS, opened

ANY = Tier.CONTAINED_ONLY
SHORT = Limits(wall_s=0.5)


async def test_a_late_block_is_interrupted_and_its_variables_are_kept() -> None:
    async with open_sandbox(SHORT, minimum=ANY) as sandbox, opened(sandbox) as workspace:
        late = await workspace.execute("x = 1\nprint('said')\nwhile True: x += 1")
        kept = await workspace.execute("print(x > 1)")
    assert late.error is not None
    assert late.error.kind == "Timeout"
    assert late.output.startswith("said\nTraceback")
    assert late.duration_s >= SHORT.wall_s
    assert kept.output == "True\n"


def test_the_shortest_blocks_take_time() -> None:
    async def durations() -> list[float]:
        async with open_sandbox(SHORT, minimum=ANY) as sandbox, opened(sandbox) as workspace:
            return [(await workspace.execute("pass")).duration_s for _ in range(20)]

    assert all(uvloop.run(durations()))


async def test_waiting_for_an_answer_is_not_counted() -> None:
    block = (
        "from introspection import probe\nfor _ in range(4): probe.ask('wait', s=0.3)\nprint('ok')"
    )
    async with open_sandbox(SHORT, minimum=ANY) as sandbox, opened(sandbox) as workspace:
        execution = await workspace.execute(block)
    assert execution.output == "ok\n"


async def test_a_block_that_waits_for_an_answer_lends_its_core() -> None:
    slow = "from introspection import probe\nprobe.ask('wait', s=5)"
    async with (
        open_sandbox(LIMITS, minimum=ANY, n_cores=1) as sandbox,
        opened(sandbox) as one,
        opened(sandbox) as other,
        asyncio.TaskGroup() as tasks,
    ):
        waiting = tasks.create_task(one.execute(slow))
        while not (await other.execute("1")).output:
            pass
        assert not waiting.done()
    assert waiting.result().error is None


async def test_an_answer_that_takes_too_long_is_a_timeout_error() -> None:
    block = "from introspection import probe\nprobe.ask('wait', s=30)"
    async with (
        open_sandbox(LIMITS, minimum=ANY, answer_s=0.2) as sandbox,
        opened(sandbox) as workspace,
    ):
        late = await workspace.execute(block)
        after = await workspace.execute("probe.ask('echo', x=1)")
    assert late.error is not None
    assert late.error.kind == "TimeoutError"
    assert after.output == "{'method': 'echo', 'x': 1}\n"


@pytest.mark.slow
async def test_an_interrupt_at_the_end_of_a_block_costs_nothing() -> None:
    limits = Limits(wall_s=0.02)
    n_lost = 0
    async with open_sandbox(limits, minimum=ANY) as sandbox, opened(sandbox) as workspace:
        for n in range(150):
            # Spread around the limit, so that the signal meets every phase of a block's end.
            await workspace.execute(f"import time\ntime.sleep({0.015 + 0.0001 * n % 0.01})")
            execution = await workspace.execute(f"print({n})")
            late = execution.error is not None and execution.error.kind == "Timeout"
            n_lost += not late and execution.output != f"{n}\n"
    assert n_lost == 0


@pytest.mark.slow
async def test_a_question_asked_after_the_time_is_up_is_refused() -> None:
    block = (
        "from introspection import probe\nimport signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {2})\n"
        "import time\ntime.sleep(1.0)\nprobe.ask('echo')"
    )
    async with open_sandbox(SHORT, minimum=ANY) as sandbox, opened(sandbox) as workspace:
        late = await workspace.execute(block)
        after = await workspace.execute("probe.ask('echo')")
    assert late.error is not None
    assert late.error.kind == "Timeout"
    assert [call.error and call.error.kind for call in late.calls] == ["TimeoutError"]
    assert after.output == "{'method': 'echo'}\n"


@pytest.mark.slow
async def test_endless_loops_give_way_to_a_short_block() -> None:
    limits = Limits(wall_s=1.0)
    async with (
        open_sandbox(limits, minimum=ANY, n_cores=1) as sandbox,
        opened(sandbox) as honest,
        asyncio.TaskGroup() as tasks,
    ):
        spinning = [tasks.create_task(_spin(sandbox)) for _ in range(5)]
        for n in range(10):
            assert (await honest.execute(f"print({n})")).output == f"{n}\n"
        assert not all(task.done() for task in spinning)
    assert {task.result() for task in spinning} == {"Timeout"}


async def _spin(sandbox: ProcessSandbox) -> str | None:
    async with opened(sandbox) as workspace:
        error = (await workspace.execute("while True: pass")).error
    return error and error.kind


async def test_a_core_goes_to_who_has_used_least() -> None:
    cores = Places(1)
    served: list[float] = []

    async def take(used_s: float) -> None:
        await cores.take(used_s)
        served.append(used_s)
        cores.give()

    await cores.take(0.0)
    async with asyncio.TaskGroup() as tasks:
        for used_s in (3.0, 1.0, 2.0):
            tasks.create_task(take(used_s))
        while not cores.is_wanted(1.5):
            await asyncio.sleep(0)
        cores.give()
    assert served == [1.0, 2.0, 3.0]


async def test_a_cancelled_wait_leaves_no_core_behind() -> None:
    cores = Places(1)
    await cores.take(0.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await cores.take(0.0)
    cores.give()
    async with asyncio.timeout(60):
        await cores.take(0.0)


async def test_endless_blocks_have_as_many_places_as_there_are_cores() -> None:
    cores = Cores(2)
    for used_s in (1.0, 2.0):
        await cores.places(used_s).take(used_s)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await cores.places(3.0).take(3.0)


async def test_a_block_that_begins_waits_for_no_endless_one() -> None:
    cores = Cores(1)
    await cores.places(5.0).take(5.0)
    async with asyncio.timeout(60):
        await cores.places(0.0).take(0.0)


_DONE_AND_GO_ON = """
from introspection import probe
asker = probe.__builtins__["_ask"]
known = type(asker).__call__.__globals__
asker._wire.send(known["Done"](asker.block_id, None))
while True: pass
"""


async def test_nothing_computes_between_blocks() -> None:
    async with (
        open_sandbox(SHORT, minimum=ANY, without=("namespaces",)) as sandbox,
        opened(sandbox) as workspace,
    ):
        worker = psutil.Process(int((await workspace.execute("import os; os.getpid()")).output))
        done = await workspace.execute(_DONE_AND_GO_ON)
        before = worker.cpu_times().user
        await asyncio.sleep(0.5)
        assert worker.cpu_times().user - before < 0.1
    assert done.error is None


_ASK_AND_GO_ON = """
import time
from introspection import probe
asker = probe.__builtins__["_ask"]
known = type(asker).__call__.__globals__
asker._wire.send(known["Ask"](asker.block_id, "wait", known["_packed"]({"s": 3.0})))
began, before = time.monotonic(), time.process_time()
while time.monotonic() - began < 2.7: pass
print(time.process_time() - before < 1.5)
answer = asker._wire.receive(known["_DECODER"])
"""


async def test_nothing_computes_while_the_host_answers() -> None:
    async with open_sandbox(LIMITS, minimum=ANY) as sandbox, opened(sandbox) as workspace:
        execution = await workspace.execute(_ASK_AND_GO_ON)
    assert execution.output == "True\n"


_BEND_IMPORTS = """
import sys
class Slow:
    def find_spec(self, *what):
        while True: pass
sys.meta_path.insert(0, Slow())
"""


async def test_imports_that_were_bent_compute_no_longer_than_a_block() -> None:
    async with open_sandbox(SHORT, minimum=ANY) as sandbox, opened(sandbox) as workspace:
        await workspace.execute(_BEND_IMPORTS)
        workspace.give({"given": ""})
        async with asyncio.timeout(60):
            lost = await workspace.execute("1")
    assert lost.error is not None
    assert lost.error.message == "modules could not be loaded in time; all variables are lost"
