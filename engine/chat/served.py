"""A served model as a chat backend: one OpenAI-compatible server, or several replicas of it."""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import tenacity

from engine.access import Access
from engine.chat import ChatBackend, ChatRequest
from engine.chat.patience import Clock, Notice, Patience, Sleep, policy
from engine.chat.replica import Replica, watching
from engine.chat.waits import Check, Waits, unchecked
from engine.chat.wire import encode, encode_count
from engine.endpoint import Endpoint, replicas
from engine.errors import ChatError
from engine.transcript import Completion, Conversation

Retrying = Callable[[Check, Notice | None], tenacity.AsyncRetrying]
"""The retry policy of a request, for what keeps it from being sent and who hears of failures."""

_FIRST_RANK = 0


def _unnoticed(_error: ChatError, _wait_s: float) -> None:
    return


@asynccontextmanager
async def open_backend(
    endpoint: Endpoint,
    *,
    access: Access,
    patience: Patience | None = None,
    notice: Notice = _unnoticed,
    sleep: Sleep = asyncio.sleep,
    clock: Clock = time.monotonic,
) -> AsyncGenerator["Served"]:
    """Open a chat backend for `endpoint`; its connections close on leaving.

    `notice` is told of every failed attempt that will be repeated; `sleep` waits between attempts,
    and `clock` tells how long that was.

    Raises:
        UsageError: the key cannot be sent in a header, or the CA file cannot be read.
    """
    from engine.chat.connection import connect  # imports openai: 0.4 s

    patience, waits = patience or Patience(), Waits(sleep)
    async with AsyncExitStack() as stack:
        opened: list[Replica] = []
        for each in replicas(endpoint):
            connection = await stack.enter_async_context(
                connect(each, access=access, connect_s=patience.connect_s)
            )
            opened.append(
                Replica(each, access, connection, patience=patience, clock=clock, waits=waits)
            )
        await stack.enter_async_context(watching(tuple(opened)))

        def absence_s() -> float:
            return max(replica.absence_s for replica in opened)

        def retrying(check: Check, told: Notice | None) -> tenacity.AsyncRetrying:
            pause = partial(waits.pause, check=check)
            return policy(patience, sleep=pause, notice=told or notice, absence_s=absence_s)

        yield Served(endpoint, opened, retrying, waits)


class Served:
    """Asks one model; the transient troubles are retried here and nowhere else."""

    def __init__(
        self,
        endpoint: Endpoint,
        replicas: Sequence[Replica],
        retrying: Retrying,
        waits: Waits,
    ) -> None:
        """Ask for the model of `endpoint` at `replicas`, `retrying` what failed in passing."""
        self._endpoint = endpoint
        self.replicas = replicas
        self.retrying = retrying
        self.recheck = waits.recheck
        """Ends the waiting for what may not be sent any more: to be called once checks raise."""
        self._ranks = itertools.count(_FIRST_RANK + 1)

    def seat(self, check: Check = unchecked, notice: Notice | None = None) -> ChatBackend:
        """Return the backend of one investigation: it stays with one replica while that answers.

        Seats that were taken earlier go first where requests are held back. `check` is called
        when a request is about to be sent or has to wait, and by `recheck`; it may raise to keep
        it from being sent. `notice` is told of the failed attempts of this investigation in place
        of the backend's own.
        """
        return _Seat(self, next(self._ranks), check, notice)

    async def complete(self, request: ChatRequest) -> Completion:
        """Return the model's reply, as a seat that is older than all."""
        return await _Seat(self, _FIRST_RANK, unchecked, None).complete(request)

    async def count(self, conversation: Conversation) -> int | None:
        """Return how many tokens the conversation is as a prompt; None where no server tells."""
        body = encode_count(
            conversation,
            served_model=self._endpoint.served_model,
            has_system_role=self._endpoint.has_system_role,
        )
        return await self.choose(None).count(body)

    def body(self, request: ChatRequest) -> bytes:
        """Return what is sent for `request`."""
        return encode(
            request,
            served_model=self._endpoint.served_model,
            has_system_role=self._endpoint.has_system_role,
        )

    def choose(self, current: Replica | None) -> Replica:
        """Return `current` while it answers, else the healthy one with the least to do.

        One that wants no request for long is left only for one that is open.
        """
        if current and (len(self.replicas) == 1 or current.is_open):
            return current
        healthy = [replica for replica in self.replicas if replica.is_healthy]
        inviting = [replica for replica in healthy if replica.is_open]
        if current in healthy and not inviting:
            return current
        return min(inviting or healthy or self.replicas, key=lambda replica: replica.gate.n_held)


class _Seat:
    def __init__(self, served: Served, rank: int, check: Check, notice: Notice | None) -> None:
        self._served = served
        self._rank = rank
        self._check = check
        self._notice = notice
        self._replica: Replica | None = None

    async def complete(self, request: ChatRequest) -> Completion:
        body = self._served.body(request)
        try:
            return await self._attempt(body)
        except ChatError as error:
            if not error.is_transient:
                raise
            return await self._attempt_again(body, error)

    async def _attempt(self, body: bytes) -> Completion:
        """Ask one replica, and a second one where the first wants no request for long."""
        try:
            return await self._ask(body)
        except ChatError as error:
            is_to_wait = error.is_transient and error.retry_after_s is not None
            if not is_to_wait or self._served.choose(self._replica) is self._replica:
                raise
            return await self._ask(body)

    async def _ask(self, body: bytes) -> Completion:
        self._replica = self._served.choose(self._replica)
        return await self._replica.ask(body, rank=self._rank, check=self._check)

    async def _attempt_again(self, body: bytes, error: ChatError) -> Completion:
        """Leave it to the policy, whose first attempt is the one that failed with `error`."""
        failed = [error]

        async def attempt() -> Completion:
            if failed:
                raise failed.pop()
            return await self._attempt(body)

        return await self._served.retrying(self._check, self._notice)(attempt)
