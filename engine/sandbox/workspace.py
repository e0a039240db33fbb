"""One investigation's workspace: its worker, the blocks it runs, the questions it asks."""

import asyncio
import secrets
import signal
from collections.abc import Awaitable, Callable, Mapping

from engine.errors import CapabilityError, SandboxError
from engine.sandbox import Answer, Limits, printed
from engine.sandbox.channel import LostError
from engine.sandbox.forkserver import Process
from engine.sandbox.plaintext import plain
from engine.sandbox.protocol import (
    Answered,
    Ask,
    Begin,
    Done,
    Failure,
    Ready,
    Refused,
    Run,
    ViolationError,
)
from engine.transcript import Call, Execution, ExecutionError

_GRACE_S = 2.0
_BEGIN_S = 60.0
_MAX_CODE_CHARS = 1_000_000


class ProcessWorkspace:
    """Runs blocks in a worker process, and in a new one after the old was lost."""

    def __init__(
        self,
        *,
        fork: Callable[[], Awaitable[Process]],
        modules: Mapping[str, str],
        answer: Answer,
        limits: Limits,
    ) -> None:
        """Fork workers with `fork`, serve `modules` in them, answer questions with `answer`."""
        self._fork = fork
        self._modules = dict(modules)
        self._answer = answer
        self._limits = limits
        self._process: Process | None = None
        self._n_blocks = 0

    async def execute(self, code: str) -> Execution:
        """Run one block to its end; see `engine.sandbox.Workspace`."""
        if len(code) > _MAX_CODE_CHARS:
            return _too_long(code)
        process = self._process or await self.start()
        printed.clear(process.printed_fd)
        calls: list[Call] = []
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            failure = await self._run(process, code, calls)
        except (LostError, ViolationError) as lost:
            failure = await self._lost(process, str(lost))
        except BaseException:
            await self.close()
            raise
        output = self._output(process, failure)
        if process.is_ended:
            await self.close()
        return Execution(
            code=code,
            output=output,
            error=failure and ExecutionError(failure.kind, plain(failure.message)),
            calls=tuple(calls),
            duration_s=clock() - started,
        )

    async def start(self) -> Process:
        """Have a worker forked and its modules loaded."""
        process = self._process = await self._fork()
        try:
            async with asyncio.timeout(_BEGIN_S):
                await process.channel.send(Begin(self._modules, None))
                reply = await process.channel.receive()
        except (LostError, ViolationError, TimeoutError, ValueError) as error:
            await self.close()
            raise SandboxError(f"a worker did not get ready: {error}") from error
        assert isinstance(reply, Ready), reply
        self._n_blocks = 0
        return process

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            try:
                await process.end()
            finally:
                process.close()

    async def _run(self, process: Process, code: str, calls: list[Call]) -> Failure | None:
        self._n_blocks += 1
        block_id = secrets.randbits(62)
        await process.channel.send(Run(block_id, self._n_blocks, code))
        try:
            async with asyncio.timeout(self._limits.wall_s):
                return await self._converse(process, block_id, calls)
        except TimeoutError:
            process.signal(signal.SIGINT)
        try:
            async with asyncio.timeout(_GRACE_S):
                return await self._converse(process, block_id, calls)
        except TimeoutError:
            raise LostError(
                f"the block ran longer than {self._limits.wall_s:g} s and could not be interrupted"
            ) from None

    async def _converse(self, process: Process, block_id: int, calls: list[Call]) -> Failure | None:
        while True:
            frame = await process.channel.receive()
            if isinstance(frame, Ready) or frame.id != block_id:
                raise ViolationError("a frame of another block")
            if isinstance(frame, Done):
                return frame.failure
            await process.channel.send(await self._answered(frame, calls))

    async def _answered(self, ask: Ask, calls: list[Call]) -> Answered | Refused:
        try:
            answer = await self._answer(ask.method, ask.arguments)
        except CapabilityError as error:
            calls.append(Call(method=ask.method, arguments=ask.arguments, error=str(error)))
            return Refused(ask.id, error.kind, str(error))
        calls.append(Call(method=ask.method, arguments=ask.arguments, answer=answer))
        return Answered(ask.id, answer)

    async def _lost(self, process: Process, reason: str) -> Failure:
        """End what is left of the worker, and say why it is gone."""
        is_own_end = not reason
        status = await process.end()
        if is_own_end:
            reason = "the process was ended" + _status_text(status)
        return Failure(kind="NamespaceLost", message=f"{reason}; all variables are lost")

    def _output(self, process: Process, failure: Failure | None) -> str:
        text, n_dropped = printed.read(process.printed_fd, self._limits.output_chars)
        if n_dropped:
            text += f"\n[{n_dropped:,} more characters were printed and dropped]\n"
        if failure is not None:
            line_end = "\n" if text and not text.endswith("\n") else ""
            text += line_end + (failure.traceback or f"{failure.kind}: {failure.message}\n")
        return plain(text)


def _too_long(code: str) -> Execution:
    message = f"the block has {len(code):,} characters, at most {_MAX_CODE_CHARS:,} are executed"
    return Execution(
        code=code,
        output=f"SyntaxError: {message}\n",
        error=ExecutionError("SyntaxError", message),
    )


def _status_text(status: int | None) -> str:
    if status is None:
        return ""
    if status >= 0:
        return f" by its own code (exit status {status})"
    try:
        return f" by {signal.Signals(-status).name}"
    except ValueError:
        return f" by signal {-status}"
