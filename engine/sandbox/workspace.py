"""One investigation's workspace: its worker, the blocks it runs, and a new worker after a loss."""

import os
import signal
from collections.abc import Awaitable, Callable, Generator, Mapping

import msgspec

from engine.errors import SandboxError
from engine.sandbox import Limits, printed
from engine.sandbox.channel import LostError
from engine.sandbox.cores import Cores
from engine.sandbox.imports import ready_made
from engine.sandbox.plaintext import plain
from engine.sandbox.process import Process
from engine.sandbox.protocol import (
    Ask,
    Begin,
    Done,
    Failure,
    Give,
    Module,
    Ready,
    Run,
    ViolationError,
)
from engine.sandbox.questions import Questions, Reply
from engine.sandbox.stint import Stint
from engine.sandbox.watchdog import memory_of
from engine.transcript import NAMESPACE_LOST, Execution, ExecutionError

MAX_CODE_CHARS = 1_000_000

_GRACE_S = 2.0
"""Computing time left to a block that was interrupted, until it is killed."""
_BEGIN_S = 60.0
_DRAWN_BYTES = 4096
_START_S = 0.01
"""What the start of a worker costs: blocks that are shorter than that go before it."""


class ProcessWorkspace:
    """Runs blocks in a worker process, one after another."""

    def __init__(
        self,
        *,
        fork: Callable[[], Awaitable[Process]],
        cores: Cores,
        begin: Begin,
        ask: Callable[[int], Questions],
        limits: Limits,
    ) -> None:
        """Fork workers with `fork`, start them with `begin`.

        `ask` takes the questions of a block; it is told the serial of the worker.
        """
        self._fork = fork
        self._cores = cores
        self._begin = begin
        self._ask = ask
        self._limits = limits
        self._process: Process | None = None
        self._n_blocks = 0
        self._given: dict[str, Module] = {}
        """Modules that the process which runs has not been told of."""

    def give(self, modules: Mapping[str, str]) -> None:
        """Let `modules` be imported too; see `engine.sandbox.Workspace`."""
        given = ready_made(modules)
        self._begin = Begin({**self._begin.modules, **given}, self._begin.seed)
        if self._process is not None:
            self._given |= given

    async def start(self) -> Process:
        """Have a worker forked and its modules loaded, on a core like any block.

        Raises:
            SandboxError: it did not get ready; no model code has run yet.
        """
        places = self._cores.places(_START_S)
        await places.take(_START_S)
        try:
            return await self._born()
        finally:
            places.give()

    async def _born(self) -> Process:
        process = self._process = await self._fork()
        try:
            await process.channel.send(self._begin)
            reply = await process.channel.receive(_BEGIN_S)
        except (LostError, ViolationError, TimeoutError, ValueError) as error:
            how = await process.end()
            raise SandboxError(f"a worker did not get ready: {str(error) or how}") from error
        if isinstance(reply, Done) and reply.failure is not None:
            raise SandboxError(f"a module cannot be loaded:\n{reply.failure.traceback}")
        assert isinstance(reply, Ready), reply
        process.ready = memory_of(process.host_pid)
        self._n_blocks, self._given = 0, {}
        return process

    async def execute(self, code: str) -> Execution:
        """Run one block to its end; see `engine.sandbox.Workspace`."""
        if len(code) > MAX_CODE_CHARS:
            return _too_long(code)
        # Half a surrogate pair has no form on the channel, nor in the journal.
        code = code.encode("utf-8", "replace").decode("utf-8")
        process = self._process or await self.start()
        questions = self._ask(process.serial)
        stint = Stint(self._cores, process)
        try:
            failure = await self._outcome(stint, process, questions, code)
        except BaseException:
            await self.close()
            raise
        output = self._output(process, failure)
        if process.is_ended:
            await self.close()
        return Execution(
            code=code,
            output=output,
            error=None if failure is None else ExecutionError(failure.kind, failure.message),
            calls=questions.calls,
            duration_s=stint.used_s,
        )

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            await process.end()
        finally:
            process.close()

    async def _outcome(
        self, stint: Stint, process: Process, questions: Questions, code: str
    ) -> Failure | None:
        """Run the block; a lost process is an outcome, too."""
        self._n_blocks += 1
        run = Run(next(_BLOCK_IDS), self._n_blocks, code)
        try:
            async with stint:
                await self._hand_over(stint)
                await stint.send(run)
                return await self._converse(stint, process, questions, run.id)
        except (LostError, ViolationError) as lost:
            how = await process.end()
            message = f"{str(lost) or how}; all variables are lost"
            return Failure(kind=NAMESPACE_LOST, message=message)

    async def _hand_over(self, stint: Stint) -> None:
        """Tell the process of what was given since it began.

        Raises:
            LostError: it cannot load that, or not in time: earlier blocks have bent its imports.
        """
        if not self._given:
            return
        await stint.send(Give(self._given))
        self._given = {}
        try:
            reply = await stint.receive(self._limits.wall_s)
        except TimeoutError:
            raise LostError("modules could not be loaded in time") from None
        if not isinstance(reply, Ready):
            raise LostError("modules could not be loaded beside what earlier blocks changed")

    async def _converse(
        self, stint: Stint, process: Process, questions: Questions, block_id: int
    ) -> Failure | None:
        """Answer the block's questions until it is done, interrupt it when its time is up."""
        limit_s = self._limits.wall_s
        is_late = False
        while True:
            try:
                frame = await stint.receive(limit_s)
            except TimeoutError:
                if is_late:
                    raise LostError(self._not_interruptible()) from None
                is_late, limit_s = True, stint.used_s + _GRACE_S
                process.signal(signal.SIGINT)
                continue
            if isinstance(frame, Ready) or frame.id != block_id:
                raise ViolationError("a frame of another block")
            if isinstance(frame, Done):
                return frame.failure and _as_told(frame.failure)
            await self._reply(stint, process, questions, frame, is_late=is_late)

    async def _reply(
        self, stint: Stint, process: Process, questions: Questions, ask: Ask, *, is_late: bool
    ) -> None:
        if is_late:
            reply = Reply(questions.refuse(ask, "TimeoutError", "the time of the block is up"))
        else:
            reply = await questions.reply(ask, stint.rest)
        if reply.loan is None:
            await stint.send(reply.frame)
        else:
            process.sent_bytes += reply.loan.memory.size_bytes
            await stint.send(reply.frame, reply.loan.fd)
            reply.loan.close()

    def _not_interruptible(self) -> str:
        return f"the block ran longer than {self._limits.wall_s:g} s and did not stop when told to"

    def _output(self, process: Process, failure: Failure | None) -> str:
        most_chars = self._limits.output_chars
        text, n_dropped = printed.read(process.printed_fd, self._n_blocks, most_chars)
        if n_dropped:
            text += f"\n[{n_dropped:,} more characters were printed and dropped]\n"
        if failure is not None:
            line_end = "\n" if text and not text.endswith("\n") else ""
            text += line_end + (failure.traceback or f"{failure.kind}: {failure.message}\n")
        return plain(text)


def _as_told(failure: Failure) -> Failure:
    """Return what a worker tells of a failure, which is never the loss of its namespace."""
    kind = plain(failure.kind) or "Exception"
    if kind == NAMESPACE_LOST:
        kind = f"__main__.{kind}"
    return msgspec.structs.replace(failure, kind=kind, message=plain(failure.message))


def _block_ids() -> Generator[int]:
    """Yield numbers below 2**62 that no worker can guess, drawn by the page."""
    while True:
        drawn = os.urandom(_DRAWN_BYTES)
        for start in range(0, len(drawn), 8):
            yield int.from_bytes(drawn[start : start + 8]) >> 2


_BLOCK_IDS = _block_ids()


def _too_long(code: str) -> Execution:
    message = f"the block has {len(code):,} characters, at most {MAX_CODE_CHARS:,} are executed"
    return Execution(
        code=code,
        output=f"SyntaxError: {message}\n",
        error=ExecutionError("SyntaxError", message),
    )
