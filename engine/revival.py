"""A namespace brought back: recorded blocks run again, with the answers that are recorded.

Of an array the record has a digest alone: it is asked for again, and must be the same.
"""

import asyncio
import re
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from engine.drain import Drain
from engine.errors import CapabilityError
from engine.sandbox import Answer, Workspace
from engine.sandbox.arrays import as_recorded, is_description
from engine.transcript import NAMESPACE_LOST, Call, Execution

_ADDRESS = re.compile(r"\bat 0x[0-9a-f]+")
"""Where in memory an object lies, as Python shows one that has no text of its own."""


class Revival:
    """Answers calls from the record while the recorded blocks run, and live ones after that."""

    def __init__(self, executions: Sequence[Execution], live: Answer) -> None:
        """Bring back what `executions` left behind; `live` answers what comes later."""
        self.calls = [call for execution in executions for call in execution.calls]
        self._n_lost = _n_lost(executions)
        self._executions = executions[self._n_lost :]
        self._live = live
        self._recorded: deque[Call] = deque()
        self._is_over = not executions

    async def answer(self, method: str, arguments: Mapping[str, object]) -> object:
        """Answer one call of model code.

        Raises:
            CapabilityError: it was refused then, is refused now, or was never made then.
        """
        if self._is_over:
            return await self._live(method, arguments)
        call = self._recorded.popleft() if self._recorded else None
        if call is None or (call.method, call.arguments) != (method, _in_journal(arguments)):
            raise CapabilityError("RuntimeError", f"{method}: not what was asked before")
        if call.error is not None:
            raise CapabilityError(call.error.kind, call.error.message)
        return await self._again(call) if is_description(call.answer) else call.answer

    async def _again(self, call: Call) -> object:
        answer = await self._live(call.method, call.arguments)
        if await asyncio.to_thread(as_recorded, answer) != call.answer:
            raise CapabilityError("RuntimeError", f"{call.method}: not the array of before")
        return answer

    async def run(
        self,
        workspace: Workspace,
        gifts: Mapping[int, Mapping[str, str]] = MappingProxyType({}),
        drain: Drain | None = None,
    ) -> bool:
        """Run the recorded blocks in `workspace`; True when each printed what it did before.

        Where an object that was printed lies in memory differs in every process, and counts not.

        `gifts`: modules that were given in between, by the number of recorded blocks before them.
        `drain`: no block is run once it has begun.

        Raises:
            DrainedError: it has begun; nothing depends on what was run until then.
        """
        is_exact, waiting, drain = True, dict(gifts), drain or Drain()
        for n_before, recorded in enumerate(self._executions, self._n_lost):
            drain.check()
            _give(workspace, waiting, n_before)
            self._recorded = deque(recorded.calls)
            again = await workspace.execute(recorded.code)
            is_exact = is_exact and _placeless(again.output) == _placeless(recorded.output)
        _give(workspace, waiting, self._n_lost + len(self._executions))
        self._is_over = True
        return is_exact


def _in_journal(arguments: Mapping[str, object]) -> object:
    """Return arguments as the journal has them: JSON knows neither nan nor inf."""
    return msgspec.json.decode(msgspec.json.encode(arguments))


def _placeless(output: str) -> str:
    return _ADDRESS.sub("at 0x0", output)


def _give(workspace: Workspace, waiting: dict[int, Mapping[str, str]], n_before: int) -> None:
    for due in [each for each in waiting if each <= n_before]:
        workspace.give(waiting.pop(due))


def _n_lost(executions: Sequence[Execution]) -> int:
    """Return how many ran until the process was last lost: they left nothing."""
    errors = [each.error.kind if each.error else None for each in executions]
    losses = [position for position, kind in enumerate(errors) if kind == NAMESPACE_LOST]
    return losses[-1] + 1 if losses else 0
