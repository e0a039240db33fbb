"""What a block asks of the host: every question answered or refused, counted and recorded."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from itertools import chain, islice
from typing import NamedTuple, cast

import msgspec

from engine.errors import CapabilityError
from engine.sandbox import Answer
from engine.sandbox.arrays import Arrays, arrays_in, recorded
from engine.sandbox.protocol import Answered, Ask, Refused, WithArrays
from engine.sandbox.shelf import SealedMemory, Shelf
from engine.transcript import Call, ExecutionError

MAX_CALLS = 2_000
"""Questions of one block."""
MAX_BYTES = 16 << 20
"""Arguments and answers of one block together, as JSON."""
MAX_ANSWER_BYTES = 8 << 20
MAX_ARRAYS_BYTES = 1 << 30
"""Arrays in the answers of one block together."""
MAX_LEVELS = 32
"""Lists and dictionaries inside one another in an argument: far from where encoders give up, and
no record of a call is mostly indentation."""
MAX_VALUES = 100_000
"""Values in the arguments of one question: all are looked at, and other blocks wait meanwhile."""
MAX_ANSWERS_S = 1_800.0
"""What the answers to one block may take together: its own clock stands still meanwhile, and all
questions at their longest would take a week. A probe on a CPU answers hundreds in it."""


class Reply(NamedTuple):
    """What goes back to the worker."""

    frame: Answered | WithArrays | Refused
    memory: SealedMemory | None = None
    """Its descriptor goes with the frame."""


class Questions:
    """The questions of one block, in order."""

    def __init__(
        self,
        answer: Answer,
        answer_s: float,
        shelf: Shelf,
        *,
        answers_s: float = MAX_ANSWERS_S,
    ) -> None:
        """Put them to `answer`; take memory from `shelf`.

        An answer may take `answer_s`, and none is sought after `answers_s` for all of them.
        """
        self._answer = answer
        self._answer_s = answer_s
        self._left_s = answers_s
        self._calls: list[Call] = []
        self._n_asked = 0
        self._n_bytes = 0
        self._n_array_bytes = 0
        self._shelf = shelf

    @property
    def calls(self) -> tuple[Call, ...]:
        """What was asked, with the answer or the refusal."""
        return tuple(self._calls)

    async def reply(
        self, ask: Ask, rest: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    ) -> Reply:
        """Return what answers `ask`; the clock of the block rests, by `rest`, for answers only."""
        if self._is_spent():
            # Not recorded: the record must stay small, too.
            return Reply(Refused(ask.id, "RuntimeError", _SPENT))
        if not _is_plain(ask.arguments):
            return Reply(Refused(ask.id, "TypeError", _NOT_PLAIN))
        if self._left_s <= 0:
            return Reply(self._refused(ask, "RuntimeError", _LATE))
        async with rest():
            return await self._put(ask)

    def _is_spent(self) -> bool:
        """Count one more question and tell whether it is one too many."""
        self._n_asked += 1
        return self._n_asked > MAX_CALLS or self._n_bytes >= MAX_BYTES

    async def _put(self, ask: Ask) -> Reply:
        try:
            return await self._answered(ask)
        except CapabilityError as error:
            return Reply(self._refused(ask, error.kind, str(error)))

    async def _answered(self, ask: Ask) -> Reply:
        answer = await self._in_time(ask)
        arrays = arrays_in(answer)
        if arrays:
            return await self._with_arrays(ask, answer, arrays)
        # The model gets what the journal keeps, so that a repeated block reads the very same.
        return Reply(Answered(ask.id, self._kept(ask, answer)))

    async def _in_time(self, ask: Ask) -> object:
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._answer(ask.method, ask.arguments)
        except TimeoutError as error:
            what = f"no answer within {self._answer_s:g} s"
            raise CapabilityError("TimeoutError", what) from error
        finally:
            self._left_s -= clock() - started

    async def _with_arrays(self, ask: Ask, answer: object, arrays: Arrays) -> Reply:
        self._n_array_bytes += sum(array.nbytes for array in arrays.values())
        if self._n_array_bytes > MAX_ARRAYS_BYTES:
            raise CapabilityError("ValueError", _TOO_MANY_ARRAYS)
        parcel = await self._shelf.parcel(arrays)
        kept = self._kept(ask, recorded(answer, parcel.descriptions))
        value = kept if isinstance(answer, dict) else None
        frame = WithArrays(ask.id, value, parcel.placed(), parcel.size_bytes, parcel.data)
        return Reply(frame, parcel.memory)

    def _kept(self, ask: Ask, answer: object) -> object:
        """Record `answer` and return it as the record has it."""
        encoded = msgspec.json.encode(answer)
        size = len(encoded)
        if size > MAX_ANSWER_BYTES:
            what = f"the answer has {size:,} bytes, at most {MAX_ANSWER_BYTES:,} can be passed"
            raise CapabilityError("ValueError", what)
        plain = msgspec.json.decode(encoded)
        self._record(Call(method=ask.method, arguments=ask.arguments, answer=plain), size)
        return plain

    def refuse(self, ask: Ask, kind: str, message: str) -> Refused:
        """Return a refusal, the exception `kind` with `message`.

        Recorded if JSON has a form for it and the record has room.
        """
        if self._is_spent() or not _is_plain(ask.arguments):
            return Refused(ask.id, kind, message)
        return self._refused(ask, kind, message)

    def _refused(self, ask: Ask, kind: str, message: str) -> Refused:
        error = ExecutionError(kind, message)
        self._record(Call(method=ask.method, arguments=ask.arguments, error=error), len(message))
        return Refused(ask.id, kind, message)

    def _record(self, call: Call, answer_bytes: int) -> None:
        self._calls.append(call)
        self._n_bytes += answer_bytes + len(msgspec.json.encode(call.arguments))


_SPENT = (
    f"too many introspection calls in one block (at most {MAX_CALLS:,}, {MAX_BYTES >> 20} MiB of "
    "answers): go on in the next one"
)
_NOT_PLAIN = (
    f"arguments must be plain JSON values, at most {MAX_VALUES:,}, nested at most {MAX_LEVELS} "
    "levels deep"
)
_LATE = "the answers to this block took too long together: go on in the next one"
_TOO_MANY_ARRAYS = (
    f"too many arrays in one block (at most {MAX_ARRAYS_BYTES >> 20} MiB): go on in the next one"
)


def _is_plain(arguments: Mapping[str, object]) -> bool:
    """Tell whether JSON has a form for all of it, and none that is too large or nested too deep."""
    level: list[object] = [arguments]
    n_left = MAX_VALUES
    for _ in range(MAX_LEVELS + 1):
        inner = list(islice(chain.from_iterable(map(_inside, level)), n_left + 1))
        n_left -= len(inner)
        if n_left < 0 or not all(map(_has_form, inner)):
            return False
        level = [each for each in inner if isinstance(each, dict | list)]
    return not level


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[object, object]", value).values()
    return cast("list[object]", value)


def _has_form(value: object) -> bool:
    """Tell whether `value` by itself is JSON; msgpack knows more types, and other keys."""
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in cast("dict[object, object]", value))
    return isinstance(value, list | str | int | float | None)
