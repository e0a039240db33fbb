"""What a block asks of the host: every question answered or refused, counted and recorded."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

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


class Reply(NamedTuple):
    """What goes back to the worker."""

    frame: Answered | WithArrays | Refused
    memory: SealedMemory | None = None
    """Its descriptor goes with the frame."""


class Questions:
    """The questions of one block, in order."""

    def __init__(self, answer: Answer, answer_s: float, shelf: Shelf) -> None:
        """Put them to `answer`, which may take `answer_s` for each; take memory from `shelf`."""
        self._answer = answer
        self._answer_s = answer_s
        self._calls: list[Call] = []
        self._n_bytes = 0
        self._n_array_bytes = 0
        self._shelf = shelf

    @property
    def calls(self) -> tuple[Call, ...]:
        """What was asked, with the answer or the refusal."""
        return tuple(self._calls)

    async def reply(self, ask: Ask) -> Reply:
        """Return what answers `ask`."""
        if len(self._calls) >= MAX_CALLS or self._n_bytes >= MAX_BYTES:
            # Not recorded: the record must stay small, too.
            return Reply(Refused(ask.id, "RuntimeError", _SPENT))
        if not _is_plain(ask.arguments):
            return Reply(Refused(ask.id, "TypeError", "arguments must be plain JSON values"))
        try:
            return await self._answered(ask)
        except CapabilityError as error:
            return Reply(self.refuse(ask, error.kind, str(error)))

    async def _answered(self, ask: Ask) -> Reply:
        try:
            async with asyncio.timeout(self._answer_s):
                answer = await self._answer(ask.method, ask.arguments)
        except TimeoutError as error:
            what = f"no answer within {self._answer_s:g} s"
            raise CapabilityError("TimeoutError", what) from error
        arrays = arrays_in(answer)
        if arrays:
            return await self._with_arrays(ask, answer, arrays)
        # The model gets what the journal keeps, so that a repeated block reads the very same.
        return Reply(Answered(ask.id, self._kept(ask, answer)))

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
        """Record and return a refusal: the exception `kind` with `message`."""
        self._record(
            Call(method=ask.method, arguments=ask.arguments, error=ExecutionError(kind, message)),
            len(message),
        )
        return Refused(ask.id, kind, message)

    def _record(self, call: Call, answer_bytes: int) -> None:
        self._calls.append(call)
        self._n_bytes += answer_bytes + len(msgspec.json.encode(call.arguments))


_SPENT = (
    f"too many introspection calls in one block (at most {MAX_CALLS:,}, {MAX_BYTES >> 20} MiB of "
    "answers): go on in the next one"
)
_TOO_MANY_ARRAYS = (
    f"too many arrays in one block (at most {MAX_ARRAYS_BYTES >> 20} MiB): go on in the next one"
)


def _is_plain(arguments: Mapping[str, object]) -> bool:
    """Tell whether JSON has a form for all of it; msgpack knows more types, and other keys."""
    pending: list[Any] = [arguments]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            entries = cast("dict[object, object]", value)
            if not all(isinstance(key, str) for key in entries):
                return False
            pending.extend(entries.values())
        elif isinstance(value, list):
            pending.extend(cast("list[object]", value))
        elif not isinstance(value, str | int | float | None):
            return False
    return True
