"""Answers about a model, computed once and shared by all investigations of that model.

A question is addressed by its content: fingerprint of the checkpoint, method, arguments. Whoever
asks while the answer is being computed waits for it; a computation that nobody waits for any more
still ends and is kept. The store is bounded by bytes, the longest unused answer leaves first.
Computing happens on few threads beside the event loop, which bounds the memory for blocks of
weights too.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from engine.errors import CapabilityError, InvestigationError, boundary
from engine.events import Cost
from engine.introspection.background import Background

Compute = Callable[[], object]

MAX_ANSWER_BYTES = 256 * 1024
"""Most bytes of one answer, as JSON, arrays aside."""
MAX_ARRAY_BYTES = 16 << 20
"""All arrays of one answer."""
_N_THREADS = 2
_OVERHEAD_BYTES = 512


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one question: an answer, or a refusal."""

    value: object = None
    error: tuple[str, str] | None = None
    n_bytes: int
    compute_s: float

    def reveal(self) -> object:
        """Return the answer, or raise the refusal."""
        if self.error is not None:
            raise CapabilityError(*self.error)
        return self.value


Threads = Background[Outcome]
"""Where answers are computed."""


class SharedAnswers:
    """Bounded store of pure answers; lives on one event loop."""

    def __init__(self, *, limit_bytes: int = 32 << 20) -> None:
        """Keep at most about `limit_bytes` of answers."""
        self._limit_bytes = limit_bytes
        self._n_bytes = 0
        self._outcomes: OrderedDict[bytes, Outcome] = OrderedDict()
        self._pending: dict[bytes, asyncio.Future[Outcome]] = {}
        self._background: Threads = Background(n_threads=_N_THREADS)
        self._costs: dict[str, Cost] = {}

    @property
    def costs(self) -> dict[str, Cost]:
        """What was asked and computed so far, by method."""
        return dict(self._costs)

    async def answer(
        self, key: bytes, method: str, compute: Compute, *, on: Threads | None = None
    ) -> object:
        """Return what `compute` returns for the question `key`, computing it at most once.

        It is computed on threads of our own, or `on` others.

        Raises:
            CapabilityError: raised by `compute`, and remembered like an answer.
            InvestigationError: the host could not compute it.
        """
        self._count(method, n_asked=1)
        if key in self._outcomes:
            self._outcomes.move_to_end(key)
            return self._outcomes[key].reveal()
        if key not in self._pending:
            self._start(key, method, compute, on or self._background)
        return (await asyncio.shield(self._pending[key])).reveal()

    def _start(self, key: bytes, method: str, compute: Compute, threads: Threads) -> None:
        def finish(future: asyncio.Future[Outcome]) -> None:
            del self._pending[key]
            if not future.cancelled() and future.exception() is None:
                self._keep(key, method, future.result())

        future = threads.run(lambda: _outcome(method, compute))
        self._pending[key] = future
        future.add_done_callback(finish)

    def _keep(self, key: bytes, method: str, outcome: Outcome) -> None:
        self._count(method, n_computed=1, compute_s=outcome.compute_s)
        self._outcomes[key] = outcome
        self._n_bytes += outcome.n_bytes + len(key)
        while self._n_bytes > self._limit_bytes and len(self._outcomes) > 1:
            old, dropped = self._outcomes.popitem(last=False)
            self._n_bytes -= dropped.n_bytes + len(old)

    def _count(
        self, method: str, *, n_asked: int = 0, n_computed: int = 0, compute_s: float = 0.0
    ) -> None:
        cost = self._costs.get(method, Cost())
        self._costs[method] = Cost(
            n_asked=cost.n_asked + n_asked,
            n_computed=cost.n_computed + n_computed,
            compute_s=cost.compute_s + compute_s,
        )


def _outcome(method: str, compute: Compute) -> Outcome:
    started = time.perf_counter()
    value, error, n_bytes = None, None, 0
    try:
        with boundary(InvestigationError, f"introspection.{method}"):
            value = compute()
            n_bytes = check_size(value)
    except CapabilityError as refusal:
        value, error = None, (refusal.kind, str(refusal))
    seconds = time.perf_counter() - started
    size = n_bytes + _OVERHEAD_BYTES
    return Outcome(value=value, error=error, n_bytes=size, compute_s=seconds)


def check_size(value: object) -> int:
    """Return the bytes of an answer: as JSON, and those of its arrays.

    Arrays are the values of a dictionary that is the answer; nobody can write to them any more.

    Raises:
        CapabilityError: it is larger than one answer may be.
    """
    arrays = _arrays_in(value)
    entries = cast("dict[str, object]", value).items() if arrays else ()
    rest = {key: each for key, each in entries if key not in arrays} if arrays else value
    n_bytes = len(msgspec.json.encode(rest))
    n_array_bytes = sum(array.nbytes for array in arrays.values())
    for size, most in ((n_bytes, MAX_ANSWER_BYTES), (n_array_bytes, MAX_ARRAY_BYTES)):
        if size > most:
            problem = f"the answer has {size} bytes, at most {most} are given"
            raise CapabilityError("ValueError", f"{problem}: ask for less")
    for array in arrays.values():
        array.setflags(write=False)
    return n_bytes + n_array_bytes


def _arrays_in(value: object) -> dict[str, npt.NDArray[Any]]:
    entries = cast("dict[str, object]", value).items() if isinstance(value, dict) else ()
    return {
        key: cast("npt.NDArray[Any]", each) for key, each in entries if isinstance(each, np.ndarray)
    }
