"""Answers about a model, computed once and shared by all investigations of that model.

A question is addressed by its content: fingerprint of the checkpoint, method, arguments. Whoever
asks while the answer is being computed waits for it. The store is bounded by bytes, the longest
unused answer leaves first. Computing happens off the event loop, on few threads, so that the
memory for blocks of weights stays bounded too.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from engine.errors import CapabilityError, InvestigationError, boundary

Compute = Callable[[], object]

MAX_ANSWER_BYTES = 256 * 1024
"""Most bytes of one answer, as JSON."""
_N_AT_ONCE = 2
_OVERHEAD_BYTES = 512


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What the answers of one method have cost the host."""

    n_asked: int = 0
    n_computed: int = 0
    compute_s: float = 0.0


class _Outcome(msgspec.Struct, frozen=True):
    value: object
    error: tuple[str, str] | None
    n_bytes: int

    def reveal(self) -> object:
        if self.error is not None:
            raise CapabilityError(*self.error)
        return self.value


class SharedAnswers:
    """Bounded store of pure answers; lives on one event loop."""

    def __init__(self, *, limit_bytes: int = 32 << 20) -> None:
        """Keep at most about `limit_bytes` of answers."""
        self._limit_bytes = limit_bytes
        self._n_bytes = 0
        self._outcomes: OrderedDict[bytes, _Outcome] = OrderedDict()
        self._pending: dict[bytes, asyncio.Event] = {}
        self._slots = asyncio.Semaphore(_N_AT_ONCE)
        self._costs: dict[str, Cost] = {}

    @property
    def costs(self) -> dict[str, Cost]:
        """What was asked and computed so far, by method."""
        return dict(self._costs)

    async def answer(self, key: bytes, method: str, compute: Compute) -> object:
        """Return what `compute` returns for the question `key`, computing it at most once.

        Raises:
            CapabilityError: raised by `compute`, and remembered like an answer.
            InvestigationError: the host could not compute it.
        """
        self._count(method, n_asked=1)
        while key not in self._outcomes:
            pending = self._pending.get(key)
            if pending is None:
                return (await self._compute(key, method, compute)).reveal()
            await pending.wait()
        self._outcomes.move_to_end(key)
        return self._outcomes[key].reveal()

    async def _compute(self, key: bytes, method: str, compute: Compute) -> _Outcome:
        done = self._pending[key] = asyncio.Event()
        try:
            async with self._slots:
                started = time.perf_counter()
                with boundary(InvestigationError, f"introspection.{method}"):
                    outcome = await asyncio.to_thread(_outcome, compute)
                self._count(method, n_computed=1, compute_s=time.perf_counter() - started)
            self._keep(key, outcome)
            return outcome
        finally:
            del self._pending[key]
            done.set()

    def _keep(self, key: bytes, outcome: _Outcome) -> None:
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


def _outcome(compute: Compute) -> _Outcome:
    try:
        value = compute()
        n_bytes = check_size(value)
    except CapabilityError as error:
        return _Outcome(None, (error.kind, str(error)), len(str(error)) + _OVERHEAD_BYTES)
    return _Outcome(value, None, n_bytes + _OVERHEAD_BYTES)


def check_size(value: object) -> int:
    """Return the bytes of an answer as JSON.

    Raises:
        CapabilityError: it is larger than one answer may be.
    """
    n_bytes = len(msgspec.json.encode(value))
    if n_bytes > MAX_ANSWER_BYTES:
        problem = (
            f"the answer has {n_bytes} bytes, at most {MAX_ANSWER_BYTES} are given: ask for less"
        )
        raise CapabilityError("ValueError", problem)
    return n_bytes
