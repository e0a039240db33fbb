"""What a block asks of the host: every question answered or refused, counted and recorded."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from itertools import chain, islice
from typing import Any, NamedTuple, cast

import msgspec

from engine.errors import CapabilityError
from engine.sandbox import Answer
from engine.sandbox.arrays import Arrays, arrays_in, recorded
from engine.sandbox.protocol import Answered, Ask, Refused, ViolationError, WithArrays
from engine.sandbox.shelf import Loan, Shelf
from engine.transcript import Call, ExecutionError

MAX_CALLS = 2_000
"""Questions of one block."""
MAX_BYTES = 16 << 20
"""Questions and answers of one block together, as JSON, and what their arguments weigh besides."""
MAX_ARGUMENTS_BYTES = 160 << 10
"""Arguments of one question, as they are sent: they are decoded at once, and everybody waits. The
64 KiB of JSON that a capability takes have no more, even as numbers, which JSON writes shorter."""
MAX_ANSWER_BYTES = 8 << 20
MAX_ARRAYS_BYTES = 1 << 30
"""Arrays in the answers of one block together."""
MAX_LEVELS = 32
"""Lists and dictionaries inside one another in an argument: far from where encoders give up, and
no record of a call is mostly indentation."""
MAX_VALUES = 32_768
"""Values in the arguments of one question: all are looked at, and everybody waits meanwhile. No
64 KiB of JSON have more."""
MAX_ANSWERS_WEIGHT_BYTES = 64 << 20
"""What the values in the answers to one block may take in memory together."""
_VALUE_BYTES = 64
"""What a value takes in memory besides its text."""
_BEFORE_VALUES = b",[{"
"""What stands before the values of JSON; in a text it counts as well, which is no great matter."""
_FORMS = frozenset({dict, list, str, int, float, bool, type(None)})
_KEYS = frozenset({str})
_NESTING = (dict, list)
_ARGUMENTS = msgspec.msgpack.Decoder(dict[str, Any])
MAX_ANSWERS_S = 1_800.0
"""What the answers to one block may take together: its own clock stands still meanwhile, and all
questions at their longest would take a week. A probe on a CPU answers hundreds in it."""


class Reply(NamedTuple):
    """What goes back to the worker."""

    frame: Answered | WithArrays | Refused
    loan: Loan | None = None
    """Its descriptor goes with the frame."""


class _Question(NamedTuple):
    id: int
    method: str
    arguments: dict[str, object]


class Questions:
    """The questions of one block, in order."""

    def __init__(
        self,
        answer: Answer,
        answer_s: float,
        shelf: Shelf,
        *,
        holder: int = 0,
        answers_s: float = MAX_ANSWERS_S,
    ) -> None:
        """Put them to `answer`; borrow memory from `shelf` for `holder`.

        An answer may take `answer_s`, and none is sought after `answers_s` for all of them.
        """
        self._answer = answer
        self._answer_s = answer_s
        self._left_s = answers_s
        self._calls: list[Call] = []
        self._n_asked = 0
        self._n_bytes = 0
        self._n_array_bytes = 0
        self._answers_weight_bytes = 0
        self._shelf = shelf
        self._holder = holder

    @property
    def calls(self) -> tuple[Call, ...]:
        """What was asked, with the answer or the refusal."""
        return tuple(self._calls)

    async def reply(
        self, ask: Ask, rest: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    ) -> Reply:
        """Return what answers `ask`; the clock of the block rests, by `rest`, for answers only.

        Raises:
            ViolationError: its arguments are not a map by name.
        """
        if self._is_spent():
            # Not recorded: the record must stay small, too.
            return Reply(Refused(ask.id, "RuntimeError", _SPENT))
        try:
            question = self._opened(ask)
        except CapabilityError as error:
            return Reply(Refused(ask.id, error.kind, str(error)))
        if self._left_s <= 0:
            return Reply(self._refused(question, "RuntimeError", _LATE))
        async with rest():
            return await self._put(question)

    def _is_spent(self) -> bool:
        """Count one more question and tell whether it is one too many."""
        self._n_asked += 1
        is_heavy = self._answers_weight_bytes >= MAX_ANSWERS_WEIGHT_BYTES
        return self._n_asked > MAX_CALLS or self._n_bytes >= MAX_BYTES or is_heavy

    def _opened(self, ask: Ask) -> _Question:
        """Count what is asked and return it.

        Raises:
            CapabilityError: the arguments are too large, too many, too deep, or not plain.
        """
        n_packed = memoryview(ask.arguments).nbytes
        if n_packed > MAX_ARGUMENTS_BYTES:
            raise CapabilityError("ValueError", _TOO_LARGE)
        # Packed, too: what is refused below was looked at all the same.
        self._n_bytes += len(ask.method) + n_packed
        arguments = _unpacked(ask.arguments)
        n_values = _n_plain(arguments)
        self._n_bytes += len(msgspec.json.encode(arguments)) + n_values * _VALUE_BYTES
        return _Question(ask.id, ask.method, arguments)

    async def _put(self, ask: _Question) -> Reply:
        try:
            return await self._answered(ask)
        except CapabilityError as error:
            return Reply(self._refused(ask, error.kind, str(error)))

    async def _answered(self, ask: _Question) -> Reply:
        answer = await self._in_time(ask)
        arrays = arrays_in(answer)
        if arrays:
            return await self._with_arrays(ask, answer, arrays)
        # The model gets what the journal keeps, so that a repeated block reads the very same.
        return Reply(Answered(ask.id, self._kept(ask, answer)))

    async def _in_time(self, ask: _Question) -> object:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._answer(ask.method, ask.arguments)
        except TimeoutError as error:
            what = f"no answer within {self._answer_s:g} s"
            raise CapabilityError("TimeoutError", what) from error
        finally:
            self._left_s -= time.monotonic() - started

    async def _with_arrays(self, ask: _Question, answer: object, arrays: Arrays) -> Reply:
        self._n_array_bytes += sum(array.nbytes for array in arrays.values())
        if self._n_array_bytes > MAX_ARRAYS_BYTES:
            raise CapabilityError("ValueError", _TOO_MANY_ARRAYS)
        parcel = await self._shelf.parcel(arrays, self._holder)
        kept = self._kept(ask, recorded(answer, parcel.descriptions))
        value = kept if isinstance(answer, dict) else None
        frame = WithArrays(ask.id, value, parcel.placed(), parcel.size_bytes, parcel.data)
        return Reply(frame, parcel.loan)

    def _kept(self, ask: _Question, answer: object) -> object:
        """Record `answer` and return it as the record has it."""
        encoded = msgspec.json.encode(answer)
        size = len(encoded)
        if size > MAX_ANSWER_BYTES:
            what = f"the answer has {size:,} bytes, at most {MAX_ANSWER_BYTES:,} can be passed"
            raise CapabilityError("ValueError", what)
        n_values = size - len(encoded.translate(None, _BEFORE_VALUES))
        self._answers_weight_bytes += n_values * _VALUE_BYTES
        plain = msgspec.json.decode(encoded)
        self._record(Call(method=ask.method, arguments=ask.arguments, answer=plain), size)
        return plain

    def refuse(self, ask: Ask, kind: str, message: str) -> Refused:
        """Return a refusal, the exception `kind` with `message`.

        Recorded if JSON has a form for it and the record has room.
        """
        if self._is_spent():
            return Refused(ask.id, kind, message)
        try:
            question = self._opened(ask)
        except CapabilityError:
            return Refused(ask.id, kind, message)
        return self._refused(question, kind, message)

    def _refused(self, ask: _Question, kind: str, message: str) -> Refused:
        error = ExecutionError(kind, message)
        self._record(Call(method=ask.method, arguments=ask.arguments, error=error), len(message))
        return Refused(ask.id, kind, message)

    def _record(self, call: Call, answer_bytes: int) -> None:
        self._calls.append(call)
        self._n_bytes += answer_bytes


_SPENT = (
    f"too many introspection calls in one block (at most {MAX_CALLS:,}, {MAX_BYTES >> 20} MiB of "
    "answers): go on in the next one"
)
_NOT_PLAIN = "arguments must be plain JSON values, with text as the keys of dictionaries"
_TOO_MANY = f"arguments may have at most {MAX_VALUES:,} values: pass less of it"
_TOO_DEEP = f"arguments may be nested at most {MAX_LEVELS} levels deep"
_TOO_LARGE = f"arguments may have at most {MAX_ARGUMENTS_BYTES >> 10} KiB: pass less of it"
_LATE = "the answers to this block took too long together: go on in the next one"
_TOO_MANY_ARRAYS = (
    f"too many arrays in one block (at most {MAX_ARRAYS_BYTES >> 20} MiB): go on in the next one"
)


def _unpacked(arguments: msgspec.Raw) -> dict[str, object]:
    try:
        return _ARGUMENTS.decode(arguments)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ViolationError(f"unreadable arguments ({type(error).__name__})") from error


def _n_plain(arguments: dict[str, object]) -> int:
    """Return the number of values, all of which have a form in JSON.

    Raises:
        CapabilityError: one has not, or they are too many or nested too deep.
    """
    level: list[object] = [arguments]
    n_left = MAX_VALUES
    for _ in range(MAX_LEVELS + 1):
        inner = list(islice(chain.from_iterable(map(_inside, level)), n_left + 1))
        n_left -= len(inner)
        if n_left < 0:
            raise CapabilityError("ValueError", _TOO_MANY)
        level = [each for each in inner if isinstance(each, _NESTING)]
        if not _have_forms(inner, level):
            raise CapabilityError("TypeError", _NOT_PLAIN)
    if level:
        raise CapabilityError("ValueError", _TOO_DEEP)
    return MAX_VALUES - n_left


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[object, object]", value).values()
    return cast("list[object]", value)


def _have_forms(values: list[object], nested: list[object]) -> bool:
    """Tell whether each by itself is JSON; msgpack knows more types, and other keys."""
    maps = (cast("dict[object, object]", each) for each in nested if isinstance(each, dict))
    keys = chain.from_iterable(maps)
    return _FORMS.issuperset(map(type, values)) and _KEYS.issuperset(map(type, keys))
