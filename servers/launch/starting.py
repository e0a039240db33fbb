"""Starts one server and waits until it is ready, or finds out why it is not."""

import asyncio
from pathlib import Path
from textwrap import indent
from time import monotonic

import msgspec

from engine.errors import NotReadyError
from servers.launch.failures import Diagnosis, diagnose
from servers.launch.flags import with_flag
from servers.launch.log import ServerLog
from servers.launch.process import ServerProcess, free_port
from servers.launch.readiness import NoAnswerError, complete_one_token, is_healthy
from servers.launch.values import Obtained, Patience, Progress, ServerStart, State, Tell

HOST = "127.0.0.1"
_TAIL_LINES = 12
_CLOSE = 0.9
"""Share of the planned KV cache that counts as what was planned."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A server that is ready."""

    start: ServerStart
    """As it was really started, repairs included."""
    process: ServerProcess
    port: int
    log: Path
    obtained: Obtained
    start_s: float


class StartFailedError(Exception):
    """A server did not become ready."""

    def __init__(self, what: str, log: ServerLog) -> None:
        """Keep what was seen, and the log of this start."""
        super().__init__(what)
        self.log = log


class Starter:
    """Starts servers in one way: where logs go, how patiently, who is told."""

    def __init__(self, *, log_dir: Path, patience: Patience, tell: Tell) -> None:
        """Write logs into `log_dir` and report each step to `tell`."""
        self._log_dir = log_dir
        self._patience = patience
        self._tell = tell

    async def start(self, start: ServerStart, *, port: int | None = None) -> Running:
        """Start a server, repairing once what is known to be repairable.

        A given `port` is kept, so that whoever knows the server's address can go on using it.

        Raises:
            NotReadyError: it did not become ready; names cause, remedy and the end of the log.
        """
        repaired: set[str] = set()
        while True:
            try:
                return await self._attempt(start, port or free_port())
            except StartFailedError as error:
                found = diagnose(error.log.text)
                changed = _repair(start, found, repaired)
                if found is None or changed is None:
                    raise NotReadyError(self._explain(start, error, found)) from error
                self._say(start.model, "repairing", 0.0, _what_changed(found, start, changed))
                start = changed

    async def _attempt(self, start: ServerStart, port: int) -> Running:
        path = self._log_path(start)
        log, began = ServerLog(path), monotonic()
        argv = with_flag(with_flag(start.argv, "--host", HOST), "--port", str(port))
        process = await ServerProcess.start(
            argv, start.environment, log=path, term_s=self._patience.term_s
        )
        try:
            await self._until_ready(start, process, port, log)
        except BaseException:
            await process.stop()
            log.read()
            raise
        return Running(
            start=start,
            process=process,
            port=port,
            log=path,
            obtained=log.obtained(),
            start_s=monotonic() - began,
        )

    async def _until_ready(
        self, start: ServerStart, process: ServerProcess, port: int, log: ServerLog
    ) -> None:
        began = heard = monotonic()
        shown: State | None = None
        while not await asyncio.to_thread(is_healthy, port):
            now = monotonic()
            heard = now if log.read() else heard
            self._check(process, log, waited_s=now - began, silent_s=now - heard)
            if log.state() != shown:
                shown = log.state()
                self._say(start.model, shown, now - began)
            await asyncio.sleep(self._patience.poll_s)
        await self._complete(start, process, port, log)
        log.read()
        self._say(start.model, "ready", monotonic() - began, _gain(start, log.obtained()))

    def _check(
        self, process: ServerProcess, log: ServerLog, *, waited_s: float, silent_s: float
    ) -> None:
        if process.exit_code is not None:
            log.read()
            raise StartFailedError(_ended(process.exit_code), log)
        if silent_s > self._patience.silent_s:
            raise StartFailedError(
                f"wrote nothing for {silent_s:.0f} s and did not become ready", log
            )
        if waited_s > self._patience.start_s:
            raise StartFailedError(f"was not ready after {waited_s:.0f} s", log)

    async def _complete(
        self, start: ServerStart, process: ServerProcess, port: int, log: ServerLog
    ) -> None:
        """Health says that the door is open; one token says that somebody is in."""
        try:
            await asyncio.to_thread(
                complete_one_token,
                port,
                start.model,
                start.environment,
                within_s=self._patience.answer_s,
            )
        except NoAnswerError as error:
            log.read()
            raise StartFailedError(f"could not complete one token ({error})", log) from error
        if process.exit_code is not None:
            log.read()
            raise StartFailedError(_ended(process.exit_code), log)

    def _say(self, model: str, state: State, elapsed_s: float, detail: str = "") -> None:
        self._tell(Progress(model=model, state=state, elapsed_s=elapsed_s, detail=detail))

    def _log_path(self, start: ServerStart) -> Path:
        return self._log_dir / f"{start.file_name}.log"

    def _explain(self, start: ServerStart, error: StartFailedError, found: Diagnosis | None) -> str:
        path = self._log_path(start)
        tail = indent(error.log.tail(_TAIL_LINES), "  ")
        if found is None:
            what = f"the server of {start.model} {error}."
            if errors := error.log.errors():
                what += f" It said:\n{indent(errors, '  ')}\n"
            remedy = f"The whole log is {path}."
        else:
            what = f"the server of {start.model} did not start: {found.failure.cause}."
            remedy = f"{found.failure.remedy} The whole log is {path}."
        return f"{what} {remedy} Its end:\n{tail}"


def _repair(start: ServerStart, found: Diagnosis | None, repaired: set[str]) -> ServerStart | None:
    """Return how to start instead; every failure is repaired at most once."""
    if found is None or found.failure.key in repaired:
        return None
    repaired.add(found.failure.key)
    return found.repair(start)


def _what_changed(found: Diagnosis, before: ServerStart, after: ServerStart) -> str:
    added = [word for word in after.argv if word not in before.argv]
    return f"{found.failure.cause}; starting again{' with ' + ' '.join(added) if added else ''}"


def _ended(code: int) -> str:
    killed = code in {137, -9}
    hint = " (killed from outside: the machine ran out of memory, perhaps)" if killed else ""
    return f"ended with exit code {code}{hint} while it started"


def _gain(start: ServerStart, obtained: Obtained) -> str:
    """Say what KV cache the server got, beside what was planned."""
    said = f"KV cache for {obtained.kv_tokens:,} tokens" if obtained.kv_tokens else ""
    if obtained.kv_bytes and start.kv_bytes:
        less = "only " if obtained.kv_bytes < _CLOSE * start.kv_bytes else ""
        said += f", {less}{_gib(obtained.kv_bytes)} of {_gib(start.kv_bytes)} planned"
    return said


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / (1 << 30):.2f} GiB"
