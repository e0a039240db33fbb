"""What a block asks of the host: every question answered or refused, counted and recorded."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from engine.errors import CapabilityError
from engine.sandbox import Answer
from engine.sandbox.protocol import Answered, Ask, Refused
from engine.transcript import Call, ExecutionError

MAX_CALLS = 2_000
"""Questions of one block."""
MAX_BYTES = 16 << 20
"""Arguments and answers of one block together, as JSON."""
MAX_ANSWER_BYTES = 8 << 20


class Questions:
    """The questions of one block, in order."""

    def __init__(self, answer: Answer, answer_s: float) -> None:
        """Put them to `answer`, which may take `answer_s` for each."""
        self._answer = answer
        self._answer_s = answer_s
        self._calls: list[Call] = []
        self._n_bytes = 0

    @property
    def calls(self) -> tuple[Call, ...]:
        """What was asked, with the answer or the refusal."""
        return tuple(self._calls)

    async def reply(self, ask: Ask) -> Answered | Refused:
        """Return the frame that answers `ask`."""
        if len(self._calls) >= MAX_CALLS or self._n_bytes >= MAX_BYTES:
            # Not recorded: the record must stay small, too.
            return Refused(ask.id, "RuntimeError", _SPENT)
        if not _is_plain(ask.arguments):
            return Refused(ask.id, "TypeError", "arguments must be plain JSON values")
        try:
            return await self._answered(ask)
        except CapabilityError as error:
            return self.refuse(ask, error.kind, str(error))

    async def _answered(self, ask: Ask) -> Answered | Refused:
        try:
            async with asyncio.timeout(self._answer_s):
                answer = await self._answer(ask.method, ask.arguments)
        except TimeoutError:
            return self.refuse(ask, "TimeoutError", f"no answer within {self._answer_s:g} s")
        encoded = msgspec.json.encode(answer)
        size = len(encoded)
        if size > MAX_ANSWER_BYTES:
            what = f"the answer has {size:,} bytes, at most {MAX_ANSWER_BYTES:,} can be passed"
            return self.refuse(ask, "ValueError", what)
        # The model gets what the journal keeps, so that a repeated block reads the very same.
        plain = msgspec.json.decode(encoded)
        self._record(Call(method=ask.method, arguments=ask.arguments, answer=plain), size)
        return Answered(ask.id, plain)

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
