"""The engine's side of a probe: its process started at the first question, ended with its owner."""

import contextlib
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO, Self, cast

from engine.errors import CapabilityError, InvestigationError
from engine.introspection.probe import MAX_TOKENS, Question
from engine.introspection.safetensors import Floats
from servers.probe.wire import Numbered, Reply, receive_reply, send_question

MAX_REPLY_BYTES = 512 << 20
"""Arrays of one reply."""
ANSWER_S = 240.0
"""Longest wait for one answer, the start of the process included; less than what the sandbox
waits, so that a hanging probe never looks like a slow answer to the model."""
_MOST_DEATHS = 3
_GRACE_S = 5.0
_LOG_LINES = 12
_ROOT = str(Path(__file__).parents[2])
# Behind all else, so that the other Python's own packages come first.
_START = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from servers.probe.program.main import main; main(sys.argv[2:])"
)

Found = tuple[object, Mapping[str, Floats]]


class _GoneError(Exception):
    """The process ended before it answered."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a probe's process is started."""

    python: str
    """An interpreter with torch and transformers."""
    checkpoint: Path
    dtype: str
    n_threads: int
    log: Path

    @property
    def argv(self) -> list[str]:
        """The command line."""
        options = {
            "--checkpoint": self.checkpoint,
            "--dtype": self.dtype,
            "--threads": self.n_threads,
            "--max-tokens": MAX_TOKENS,
            "--max-bytes": MAX_REPLY_BYTES,
        }
        words = [str(word) for pair in options.items() for word in pair]
        return [self.python, "-I", "-c", _START, _ROOT, *words]

    @property
    def environment(self) -> dict[str, str]:
        """All that the process sees of the environment: no key, no GPU, no way to the hub."""
        return {
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "OMP_NUM_THREADS": str(self.n_threads),
        }


class TorchProbe:
    """One model's probe, shared by all who ask about it. For threads."""

    def __init__(self, start: Start, *, answer_s: float = ANSWER_S) -> None:
        """Start nothing before the first question."""
        self._start = start
        self._answer_s = answer_s
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._n_deaths = 0
        self._is_closed = False

    def __enter__(self) -> Self:
        """Return the probe itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()

    def close(self) -> None:
        """End the process, if there is one; questions under way fail, later ones are refused."""
        with self._lock:
            self._is_closed = True
            if self._running:
                self._running.end()

    def ask(self, question: Question) -> Found:
        """Return the plain answer to one question, and its arrays.

        A question whose process dies is put once more, to a new process.

        Raises:
            CapabilityError: it cannot be answered; for the model to see.
            InvestigationError: the process failed.
        """
        for _ in range(2):
            with contextlib.suppress(_GoneError):
                return _revealed(self._alive().ask(question, within_s=self._answer_s))
        raise InvestigationError(self._trouble("ended while it was asked"))

    def _alive(self) -> "_Running":
        with self._lock:
            if self._running and self._running.has_ended:
                self._n_deaths += 1
                self._running.end()
                self._running = None
            if self._is_closed or self._n_deaths >= _MOST_DEATHS:
                raise InvestigationError(self._trouble("is not started again"))
            if self._running is None:
                self._running = _Running(self._start)
            return self._running

    def _trouble(self, what: str) -> str:
        log = self._start.log
        with contextlib.suppress(OSError):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
            what = f"{what}. The end of its log {log}:\n" + "\n".join(lines)
        return f"the probe of {self._start.checkpoint} {what}"


class _Running:
    """One process, and the questions that wait for it."""

    def __init__(self, start: Start) -> None:
        start.log.parent.mkdir(parents=True, exist_ok=True)
        with start.log.open("ab") as log:
            self._process = subprocess.Popen(
                start.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=start.environment,
                start_new_session=True,
            )
        self._questions = cast("BinaryIO", self._process.stdin)
        self._replies = cast("BinaryIO", self._process.stdout)
        self._ids = count(1)
        self._lock = threading.Lock()
        self._pending: dict[int, Future[tuple[Reply, dict[str, Floats]]]] = {}
        self.has_ended = False
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, question: Question, *, within_s: float) -> tuple[Reply, dict[str, Floats]]:
        """Put the question and wait for its answer.

        Raises:
            _GoneError: the process ended.
            InvestigationError: it did not answer in time, and was ended.
        """
        future: Future[tuple[Reply, dict[str, Floats]]] = Future()
        with self._lock:
            if self.has_ended:
                raise _GoneError
            numbered = Numbered(next(self._ids), question)
            self._pending[numbered.id] = future
            with contextlib.suppress(OSError, ValueError):  # it has just ended; the listener tells
                send_question(self._questions, numbered)
        try:
            return future.result(within_s)
        except TimeoutError:
            self._process.kill()
            what = f"the probe gave no answer within {within_s:g} s"
            raise InvestigationError(what) from None

    def end(self) -> None:
        """End the process: by the end of its input, by force if that does not do."""
        with contextlib.suppress(OSError):
            self._questions.close()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        try:
            with contextlib.suppress(OSError, ValueError):
                while (received := receive_reply(self._replies)) is not None:
                    with self._lock:
                        future = self._pending.pop(received[0].id, None)
                    if future is not None:
                        future.set_result(received)
        finally:
            self._give_up()

    def _give_up(self) -> None:
        """Tell all who wait that no reply comes any more."""
        with self._lock:
            self.has_ended = True
            left = list(self._pending.values())
        for future in left:
            with contextlib.suppress(InvalidStateError):
                future.set_exception(_GoneError())
        self._replies.close()


def _revealed(received: tuple[Reply, dict[str, Floats]]) -> Found:
    reply, arrays = received
    if reply.refusal:
        raise CapabilityError(reply.refusal.kind, reply.refusal.message)
    if reply.failure:
        raise InvestigationError(f"the probe failed: {reply.failure}")
    return reply.plain, arrays
