"""How many requests are sent to one server at once, and whose turn it is.

A local server queues what it cannot take: it is not sent more than it runs and a short queue, or
prefixes would be thrown out of its cache before they are used again. A remote one says 429: then
fewer are sent, and with every answer a little more. So it is with one that does not tell its load
and leaves requests unanswered. Old investigations go first, so that they end, and their prefixes
are asked for while they are still in the cache.

Where the way is barred (by a Retry-After, by refusals that follow each other, by a cap on request
starts), all wait in one queue, and one keeper lets them in.
"""

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Awaitable, Callable

from engine.chat.load import Load
from engine.chat.patience import Clock
from engine.chat.waits import Check, Waits, unchecked

Pace = Callable[[], Awaitable[object]]
"""Returns when one request more may be begun."""

_CUT = 0.7
"""What remains of the requests in flight after a 429."""
_CUT_BY_TIMEOUT = 0.5
"""What remains after a request that was not answered in time: each further one costs as long."""
_CUT_BY_PREEMPTION = 0.8
_GROWTH = 1.25
_QUEUE_SHARE = 1 / 8
_LEAST_QUEUE = 2
"""A short queue at the server: it must never wait for us."""
_PAUSE_S = 1.0
"""Pause after the second refusal in a row, where the server asks for none; it doubles with every
further one. One refusal alone is how a limit of requests in flight is found, and pauses nothing."""
_LONGEST_PAUSE_S = 30.0
"""Where the doubling ends. Seven refusals in a row take 61 s, so that the eight attempts that one
request has outlast a limit per minute."""


class Gate:
    """The way to one server. Belongs to the event loop that made it."""

    def __init__(
        self,
        *,
        limit: float = math.inf,
        clock: Clock = time.monotonic,
        pace: Pace | None = None,
        waits: Waits | None = None,
    ) -> None:
        """Let `limit` requests be in flight, until the server says otherwise.

        `pace` caps how fast they are let in, and `waits` is where and how they wait.
        """
        self._clock = clock
        self._pace = pace
        self._waits = waits or Waits()
        self.limit = limit
        """Requests in flight at most."""
        self.n_in_flight = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = itertools.count()
        self._opens_at = self._cut_at = -math.inf
        self._next_pause_s = 0.0
        self._is_called = asyncio.Event()
        self._has_refused = False
        self._is_observed = False

    @property
    def n_held(self) -> int:
        """Requests in flight and held back."""
        return self.n_in_flight + self.n_waiting

    @property
    def n_waiting(self) -> int:
        """Requests that are held back."""
        return sum(not turn.done() for *_, turn in self._waiting)

    @property
    def shut_s(self) -> float:
        """Seconds for which the server wants no request."""
        return max(0.0, self._opens_at - self._clock())

    def slot(self, rank: int, check: Check = unchecked) -> "_Slot":
        """Return the right to have one request in flight while it is entered.

        Entering waits for it; the lowest rank is served first. What `check` raises ends the wait.
        """
        return _Slot(self, rank, check)

    async def enter(self, rank: int, check: Check = unchecked) -> None:
        """Wait until one request more may be in flight.

        Raises:
            EngineError: `check` raised it, so that there is nothing to wait for.
        """
        if self._has_room() and not self._waiting and not self._is_barred():
            self.n_in_flight += 1
            return
        async with self._waits.checked(check):
            await self._turn(rank)

    async def keep(self) -> None:
        """Let in one after the other whenever the way is barred. Runs as long as the gate is used.

        Whoever is first when the bar is lifted goes in, not who was first when it fell.
        """
        while True:
            await self._is_called.wait()
            self._is_called.clear()
            while self._has_turn():
                await self._lift()
                if self._has_turn() and not self._is_shut():
                    self._let_in()

    def leave(self) -> None:
        """Note that a request is over, whatever came of it."""
        self.n_in_flight -= 1
        self._admit()

    def answered(self, sent_s: float) -> None:
        """Note an answer to a request of `sent_s`: one request more may be in flight from now on.

        Once the server has refused any, that takes as many answers as there are in flight. Where
        its load is known, that alone decides. What was sent before the last refusal does not tell
        whether the server would take a request again.
        """
        if sent_s > self._cut_at:
            self._next_pause_s = 0.0
        if not self._is_observed:
            self._set(self.limit + (1 / self.limit if self._has_refused else 1))

    def throttled(self, sent_s: float, shut_s: float) -> None:
        """Note a 429 to a request that was sent at `sent_s` on the gate's clock.

        No request is let in for `shut_s` from now; where the server asks for no pause (0), longer
        with every refusal in a row. Many refusals come at once; only those of requests that were
        sent after the last cut say something new.
        """
        if not shut_s and sent_s > self._cut_at:
            shut_s = self._lengthened_s()
        self._opens_at = max(self._opens_at, self._clock() + shut_s)
        self._cut(sent_s, _CUT)

    def timed_out(self, sent_s: float) -> None:
        """Note that a request of `sent_s` was not answered in time, as in a queue too long."""
        self._cut(sent_s, _CUT_BY_TIMEOUT)

    def observe(self, load: Load, before: Load | None) -> None:
        """Follow the load of the server."""
        self._is_observed = True
        self._set(limit_for(load, before, n_in_flight=self.n_in_flight, limit=self.limit))

    def unobserve(self) -> None:
        """Note that the load of the server is not known any more: answers decide again."""
        self._is_observed = False

    async def _turn(self, rank: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._arrivals), turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.n_in_flight -= 1
                self._admit()
            raise

    def _cut(self, sent_s: float, remaining: float) -> None:
        """Let fewer be in flight, unless a cut since `sent_s` has seen to that."""
        self._has_refused = True
        if sent_s > self._cut_at:
            self._cut_at = self._clock()
            self._set(min(self.limit, self.n_in_flight) * remaining)

    def _lengthened_s(self) -> float:
        """Return the pause after one refusal more in a row."""
        pause_s = self._next_pause_s
        self._next_pause_s = min(_LONGEST_PAUSE_S, max(_PAUSE_S, 2 * pause_s))
        return pause_s

    def _set(self, limit: float) -> None:
        self.limit = max(1.0, limit)
        self._admit()

    def _has_room(self) -> bool:
        return self.n_in_flight + 1 <= self.limit

    def _has_turn(self) -> bool:
        """Tell whether somebody waits for whom there is room; forget who does not wait any more."""
        while self._waiting and self._waiting[0][-1].done():
            heapq.heappop(self._waiting)
        return bool(self._waiting) and self._has_room()

    def _is_shut(self) -> bool:
        return self._clock() < self._opens_at

    def _is_barred(self) -> bool:
        return self._pace is not None or self._is_shut()

    async def _lift(self) -> None:
        """Wait until one request more may be begun."""
        while self._is_shut():
            await self._waits.sleep(self._opens_at - self._clock())
        if self._pace is not None:
            await self._pace()

    def _admit(self) -> None:
        """Let in everybody for whom there is room; where the way is barred, the keeper will."""
        if self._waiting and self._is_barred():
            self._is_called.set()
            return
        while self._has_turn():
            self._let_in()

    def _let_in(self) -> None:
        *_, turn = heapq.heappop(self._waiting)
        self.n_in_flight += 1
        turn.set_result(None)


class _Slot:
    """The same by `contextlib` would cost each request three times as much."""

    def __init__(self, gate: Gate, rank: int, check: Check) -> None:
        self._gate = gate
        self._rank = rank
        self._check = check

    async def __aenter__(self) -> None:
        await self._gate.enter(self._rank, self._check)

    async def __aexit__(self, *_exception: object) -> None:
        self._gate.leave()


def limit_for(load: Load, before: Load | None, *, n_in_flight: int, limit: float) -> float:
    """Return how many requests may be in flight at a server with this load."""
    if before is not None and load.n_preempted > before.n_preempted:
        return n_in_flight * _CUT_BY_PREEMPTION
    queue = max(_LEAST_QUEUE, load.n_running * _QUEUE_SHARE)
    if load.n_waiting > queue:
        return max(load.n_running, n_in_flight - (load.n_waiting - queue))
    if n_in_flight + 1 > limit:
        return limit * _GROWTH + 1
    return limit
