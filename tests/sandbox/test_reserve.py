"""What a block that fills all memory leaves behind: its variables, and a channel that works."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from engine.sandbox import Limits, Tier
from engine.sandbox.host import ProcessSandbox, open_sandbox
from engine.sandbox.reserve import Reserve
from tests.sandbox.workshop import opened

_together = pytest.mark.asyncio(loop_scope="module")

_LIMITS = Limits(wall_s=120.0, memory_bytes=512 << 20)
_BEFORE = "import numpy as np\nfrom introspection import probe\nkept = 'kept'\nheld, n = [], 0"
_FILLS = (
    "held.append(bytearray(50_000))",
    "held.append([float(n), str(n)]); n += 1",
    "held.append({'mean': 0.5})",
    "held.append((n,)); n += 1",
    "held.append(np.ones(4096))",
)
_ASK = """
    for k in range(20):
        try:
            wrong += probe.ask('echo', k=k)['k'] != k
        except MemoryError:
            pass
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def narrow() -> AsyncGenerator[ProcessSandbox]:
    """A sandbox whose memory is soon full."""
    async with open_sandbox(_LIMITS, minimum=Tier.CONTAINED_ONLY) as sandbox:
        yield sandbox


@_together
@pytest.mark.parametrize("fill", _FILLS)
async def test_memory_filled_with_small_pieces_costs_no_variables(
    narrow: ProcessSandbox, fill: str
) -> None:
    async with opened(narrow) as workspace:
        await workspace.execute(_BEFORE)
        full = await workspace.execute(f"while True: {fill}")
        assert full.error is not None
        assert full.error.kind == "MemoryError"
        freed = await workspace.execute("held = None\nprint(kept)")
        assert (freed.error, freed.output) == (None, "kept\n")


@_together
@pytest.mark.parametrize("fill", _FILLS)
async def test_who_catches_that_and_asks_on_gets_no_answer_to_another_question(
    narrow: ProcessSandbox, fill: str
) -> None:
    block = f"wrong = 0\ntry:\n    while True: {fill}\nexcept MemoryError:{_ASK}"
    async with opened(narrow) as workspace:
        await workspace.execute(_BEFORE)
        await workspace.execute(block)
        freed = await workspace.execute("held = None\nprint(kept, wrong)")
        assert (freed.error, freed.output) == (None, "kept 0\n")


@_together
async def test_memory_that_stays_full_lets_the_next_block_ask(narrow: ProcessSandbox) -> None:
    async with opened(narrow) as workspace:
        await workspace.execute(_BEFORE)
        await workspace.execute(f"while True: {_FILLS[0]}")
        asked = await workspace.execute("print(probe.ask('echo', k=1)['k'], kept)")
        assert (asked.error, asked.output) == (None, "1 kept\n")


def test_what_lacks_memory_is_done_again_with_the_reserve() -> None:
    reserve = Reserve()
    reserve.take()
    attempts: list[int] = []

    def work() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise MemoryError
        return "done"

    assert reserve.spared(work) == "done"


def test_what_lacks_memory_even_then_says_so() -> None:
    def work() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        Reserve().spared(work)
