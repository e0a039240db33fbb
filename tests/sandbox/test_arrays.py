"""Arrays as answers: what model code gets, what it cannot do with it, what the record keeps."""

import asyncio
import fcntl
import mmap
import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.errors import CapabilityError
from engine.revival import Revival
from engine.sandbox.arrays import as_recorded, is_description
from engine.sandbox.host import ProcessSandbox
from engine.sandbox.mapped import value_of
from engine.sandbox.protocol import WithArrays
from engine.sandbox.shelf import MAX_ARRAY_BYTES, Loan, SealedMemory, Shelf
from engine.sandbox.workspace import ProcessWorkspace
from engine.transcript import Call, Execution
from tests.sandbox.workshop import MODULES

pytestmark = pytest.mark.asyncio(loop_scope="module")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="sealed memory is Linux's")

GET = "from introspection.probe import ask\nW = ask('matrix')\n"
MATRIX = np.arange(12, dtype=np.float32).reshape(3, 4)
MATRIX_RECORD = {
    "array": {
        "dtype": "<f4",
        "shape": [3, 4],
        "blake2b": blake2b(MATRIX.tobytes(), digest_size=16).hexdigest(),
    }
}
ANSWERS: dict[str, Callable[[], object]] = {
    "matrix": lambda: MATRIX,
    "fortran": lambda: np.asfortranarray(MATRIX)[::-1, ::2],
    "several": lambda: {"name": "w", "weight": MATRIX, "n": 2, "bias": np.zeros(3, np.int8)},
    "big": lambda: np.ones(8 << 20, np.float64),
    "too big": lambda: np.zeros(MAX_ARRAY_BYTES + 1, np.uint8),
    "object": lambda: np.array([object()]),
    "long": lambda: np.zeros(3, np.longdouble),
    "text": lambda: {"names": np.array(["text"])},
}
TYPES = ["?", "i1", "<i2", "<i4", "<i8", "u1", "<u4", "<u8", "<f2", "<f4", "<f8", ">f4"]
SHAPES = [(), (0,), (1,), (7,), (0, 3), (2, 3, 4)]


async def answer(method: str, arguments: Mapping[str, object]) -> object:
    """Answer with arrays by name."""
    if method != "made":
        return ANSWERS[method]()
    shape = tuple(msgspec.convert(arguments["shape"], list[int]))
    n_items = int(np.prod(shape, dtype=int))
    return (np.arange(n_items) % 2).astype(str(arguments["dtype"])).reshape(shape)


def opened(sandbox: ProcessSandbox) -> AbstractAsyncContextManager[ProcessWorkspace]:
    """Open a workspace whose host answers with arrays."""
    return sandbox.open(modules=MODULES, answer=answer)


async def ran(sandbox: ProcessSandbox, code: str) -> Execution:
    """Return what came of one block in a fresh workspace."""
    async with opened(sandbox) as workspace:
        return await workspace.execute(code)


async def output(sandbox: ProcessSandbox, code: str) -> str:
    """Return what one block printed; it must not fail."""
    execution = await ran(sandbox, code)
    assert execution.error is None, execution.output
    return execution.output


async def test_every_type_and_shape_arrives_as_it_was_sent(sandbox: ProcessSandbox) -> None:
    code = (
        "from introspection.probe import ask\nimport numpy as np\n"
        f"for dtype in {TYPES}:\n"
        f"    for shape in {SHAPES}:\n"
        "        W = ask('made', dtype=dtype, shape=list(shape))\n"
        "        n = int(np.prod(shape, dtype=int))\n"
        "        expected = (np.arange(n) % 2).astype(dtype).reshape(shape)\n"
        "        assert type(W) is np.ndarray\n"
        "        assert (W.dtype, W.shape) == (expected.dtype, expected.shape), (W, expected)\n"
        "        assert (W == expected).all()\n"
        "        assert not W.flags.writeable\n"
        "print('all')"
    )
    assert await output(sandbox, code) == "all\n"


async def test_an_array_that_is_not_contiguous_arrives_in_its_order(
    sandbox: ProcessSandbox,
) -> None:
    code = "from introspection.probe import ask\nprint(ask('fortran').tolist())"
    assert await output(sandbox, code) == f"{MATRIX[::-1, ::2].tolist()}\n"


async def test_a_dictionary_keeps_its_order_and_its_arrays(sandbox: ProcessSandbox) -> None:
    code = (
        "from introspection.probe import ask\nd = ask('several')\n"
        "print(list(d), d['name'], d['n'])\n"
        "print(d['weight'].sum(), d['bias'].tolist(), d['bias'].dtype)"
    )
    assert await output(sandbox, code) == (
        "['name', 'weight', 'n', 'bias'] w 2\n66.0 [0, 0, 0] int8\n"
    )


async def test_64_mb_fit_the_memory_of_a_worker(sandbox: ProcessSandbox) -> None:
    code = "from introspection.probe import ask\nW = ask('big')\nprint(W.nbytes >> 20, W.sum())"
    assert await output(sandbox, code) == "64 8388608.0\n"


async def test_memory_is_given_back_with_the_array(sandbox: ProcessSandbox) -> None:
    code = (
        "from introspection.probe import ask\n"
        "def mapped(): return sum(type(o).__name__ == 'ReadOnlyMemory' for o in gc.get_objects())\n"
        "import gc\nfor _ in range(12):\n    part = ask('big')[:3]\n    print(mapped(), end=' ')\n"
        "del part\nprint(mapped())"
    )
    assert await output(sandbox, code) == "1 1 1 1 1 1 1 1 1 1 1 1 0\n"


@pytest.mark.parametrize(
    "act", ["W[0] = 1", "W.flags.writeable = True", "W.base.flags.writeable = True", "W += 1"]
)
async def test_model_code_cannot_write(sandbox: ProcessSandbox, act: str) -> None:
    execution = await ran(sandbox, f"{GET}{act}")
    assert execution.error is not None
    assert execution.error.kind == "ValueError"


async def test_a_copy_can_be_written(sandbox: ProcessSandbox) -> None:
    assert await output(sandbox, f"{GET}V = W.copy()\nV[0] = 1\nprint(V.sum())") == "64.0\n"


@linux_only
async def test_no_descriptor_stays_open(sandbox: ProcessSandbox) -> None:
    code = (
        f"{GET}import fcntl\nopen_fds = []\n"
        "for fd in range(64):\n    try:\n        fcntl.fcntl(fd, fcntl.F_GETFD)\n"
        "    except OSError:\n        continue\n    open_fds.append(fd)\nprint(open_fds)"
    )
    assert await output(sandbox, code) == "[0, 1, 2, 3]\n"


@linux_only
async def test_an_array_that_finds_no_descriptor_is_an_error_of_the_block(
    sandbox: ProcessSandbox,
) -> None:
    code = (
        "import fcntl\nfds = []\n"
        "try:\n    while True:\n        fds.append(fcntl.fcntl(3, 1030, 0))\nexcept OSError:\n"
        f"    pass\n{GET}"
    )
    async with opened(sandbox) as workspace:
        failed = await workspace.execute(code)
        after = await workspace.execute(
            "import os\nfor fd in fds: os.close(fd)\n" + GET + "print(W.sum())"
        )
    assert failed.error is not None
    assert failed.error.kind == "OSError"
    assert after.output == "66.0\n"


@linux_only
@pytest.mark.parametrize(
    ("attack", "told"),
    [
        ("", ""),
        ("print(libc.mprotect(start, 4096, 3))\n", "-1\n"),
        ("print(libc.madvise(start, 4096, 9))\n", "-1\n"),
    ],
    ids=["memmove", "made writable before", "hole punched before"],
)
async def test_writing_by_force_costs_only_the_own_process(
    sandbox: ProcessSandbox, attack: str, told: str
) -> None:
    prelude = (
        "import ctypes\nlibc = ctypes.CDLL(None)\n"
        "start = ctypes.c_void_p(W.ctypes.data // 4096 * 4096)\n"
    )
    force = "ctypes.memmove(W.ctypes.data, b'x' * 48, 48)"
    async with opened(sandbox) as attacker, opened(sandbox) as sibling:
        await sibling.execute(GET)
        attacked = await attacker.execute(GET + prelude + attack + force)
        beside = await sibling.execute("print(W.sum(), ask('matrix').sum())")
        after = await attacker.execute(GET + "print(W.sum())")
    assert attacked.error is not None
    assert attacked.error.kind == "NamespaceLost"
    assert attacked.output.startswith(told)
    assert beside.output == "66.0 66.0\n"
    assert after.output == "66.0\n"


@linux_only
async def test_sealed_memory_refuses_its_own_maker() -> None:
    memory = SealedMemory({"": MATRIX})
    with pytest.raises(PermissionError):
        os.pwrite(memory.fd, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(memory.fd, 0)


@linux_only
async def test_those_who_ask_for_the_same_numbers_share_memory() -> None:
    shelf = Shelf()
    first = await shelf.parcel({"": MATRIX})
    second = await shelf.parcel({"": MATRIX.copy()})
    other = await shelf.parcel({"": MATRIX + 1})
    assert first.memory is second.memory
    assert other.memory is not first.memory


@linux_only
async def test_what_is_kept_for_later_is_bounded() -> None:
    n_before = _n_fds()
    shelf = Shelf(kept_bytes=256)
    for number in range(20):
        await shelf.parcel({"": np.full(16, number, np.int64)})
    await _until_n_fds(n_before + 2)
    shelf.clear()
    await _until_n_fds(n_before)


def _n_fds() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def _until_n_fds(n_fds: int) -> None:
    async with asyncio.timeout(120):
        while _n_fds() > n_fds:
            await asyncio.sleep(0.01)


@linux_only
async def test_memory_shows_who_holds_it_by_a_descriptor_a_message_or_a_mapping() -> None:
    memory = SealedMemory({"": MATRIX})
    by_descriptor, by_message, by_mapping = (Loan(memory, holder) for holder in (7, 8, 9))
    ours, its = socket.socketpair()
    socket.send_fds(ours, [b"x"], [by_message.fd])
    by_message.close()
    mapped = mmap.mmap(by_mapping.fd, memory.size_bytes, mmap.MAP_SHARED, mmap.PROT_READ)
    by_mapping.close()
    assert sorted(memory.holders()) == [7, 8, 9]
    by_descriptor.close()
    mapped.close()
    assert memory.holders() == [8]
    ours.close()
    its.close()
    assert not memory.is_held


@linux_only
async def test_a_lock_over_the_whole_memory_is_told_once() -> None:
    memory = SealedMemory({"": MATRIX})
    foreign = Loan(memory, 7)
    whole = struct.pack("hhqqi0q", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    fcntl.fcntl(foreign.fd, fcntl.F_OFD_SETLK, whole)
    assert memory.holders() == [0]


@linux_only
async def test_what_is_held_stays_on_the_shelf_and_is_shared() -> None:
    shelf = Shelf(kept_bytes=0)
    held = await shelf.parcel({"": MATRIX}, 7)
    for number in range(8):
        await shelf.parcel({"": np.full(16, number, np.int64)})
    again = await shelf.parcel({"": MATRIX}, 8)
    assert again.memory is held.memory
    assert shelf.shares_bytes() == {7: held.size_bytes // 2, 8: held.size_bytes // 2}


@linux_only
async def test_where_memory_is_scarce_only_what_is_held_is_kept() -> None:
    shelf = Shelf()
    held = await shelf.parcel({"": MATRIX})
    await shelf.parcel({"": MATRIX + 1})
    shelf.shed()
    assert shelf.size_bytes == held.size_bytes


async def test_without_sealed_memory_arrays_travel_by_value() -> None:
    parcel = await Shelf(has_sealed_memory=False).parcel({"a": MATRIX, "b": np.zeros((0, 2))})
    assert parcel.memory is None
    frame = WithArrays(
        1, {"a": None, "b": None, "c": 3}, parcel.placed(), parcel.size_bytes, parcel.data
    )
    value = value_of(frame, [])
    assert isinstance(value, dict)
    assert (value["a"] == MATRIX).all()
    assert value["b"].shape == (0, 2)
    assert value["c"] == 3
    with pytest.raises(ValueError, match="read-only"):
        value["a"][0] = 1


async def test_by_value_only_so_much_travels() -> None:
    with pytest.raises(CapabilityError):
        await Shelf(has_sealed_memory=False).parcel({"": np.zeros(32 << 20, np.uint8)})


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("object", "TypeError"),
        ("long", "TypeError"),
        ("text", "TypeError"),
        ("too big", "ValueError"),
    ],
)
async def test_what_cannot_be_passed_is_refused_and_recorded(
    sandbox: ProcessSandbox, method: str, kind: str
) -> None:
    execution = await ran(sandbox, f"from introspection.probe import ask\nask({method!r})")
    assert execution.error is not None
    assert execution.error.kind == kind
    (call,) = execution.calls
    assert call.error is not None
    assert call.error.kind == kind


async def test_one_block_gets_only_so_many_arrays(sandbox: ProcessSandbox) -> None:
    code = (
        "from introspection.probe import ask\nn = 0\ntry:\n    while True:\n"
        "        ask('big')\n        n += 1\nexcept ValueError:\n    print(n)"
    )
    assert await output(sandbox, code) == "16\n"


async def test_the_record_describes_an_array(sandbox: ProcessSandbox) -> None:
    (call,) = (await ran(sandbox, GET)).calls
    assert call.answer == MATRIX_RECORD
    assert msgspec.json.decode(msgspec.json.encode(call), type=Call) == call


async def test_the_record_of_a_dictionary_keeps_what_is_plain(sandbox: ProcessSandbox) -> None:
    (call,) = (await ran(sandbox, "from introspection.probe import ask\nask('several')")).calls
    assert isinstance(call.answer, dict)
    assert call.answer | {"bias": None} == {
        "name": "w",
        "weight": MATRIX_RECORD,
        "n": 2,
        "bias": None,
    }
    assert call.answer == as_recorded(await answer("several", {}))


@pytest.mark.parametrize(
    ("recorded", "is_one"),
    [
        (MATRIX_RECORD, True),
        ({"a": 1, "w": MATRIX_RECORD}, True),
        ({"array": {"dtype": "<f4", "shape": [1]}}, False),
        ({"array": [1, 2]}, False),
        ([MATRIX_RECORD], False),
        (None, False),
        ("array", False),
    ],
)
async def test_a_description_is_told_from_a_plain_answer(recorded: object, is_one: bool) -> None:  # noqa: FBT001 - a table
    assert is_description(recorded) is is_one


async def test_a_revived_namespace_has_its_array_again(sandbox: ProcessSandbox) -> None:
    before = await ran(sandbox, GET)
    revival = Revival([before], answer)
    async with sandbox.open(modules=MODULES, answer=revival.answer) as workspace:
        is_exact = await revival.run(workspace)
        after = await workspace.execute("print(W.sum())")
    assert is_exact
    assert after.output == "66.0\n"


async def test_another_array_is_not_taken_for_the_recorded_one(sandbox: ProcessSandbox) -> None:
    async def changed(_method: str, _arguments: Mapping[str, object]) -> object:
        return MATRIX + 1

    before = await ran(sandbox, GET)
    revival = Revival([before], changed)
    async with sandbox.open(modules=MODULES, answer=revival.answer) as workspace:
        is_exact = await revival.run(workspace)
        after = await workspace.execute("W")
    assert not is_exact
    assert after.error is not None
    assert after.error.kind == "NameError"
