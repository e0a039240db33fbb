"""A served model as a chat backend: one OpenAI-compatible server, or several replicas of it."""

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import tenacity

from engine.access import Access
from engine.chat import ChatBackend, ChatRequest
from engine.chat.admission import Clock, Gate
from engine.chat.load import Load
from engine.chat.patience import Notice, Patience, Sleep, policy
from engine.chat.replica import Replica, watching
from engine.chat.wire import encode, encode_count
from engine.endpoint import Endpoint, replicas
from engine.errors import ChatError
from engine.transcript import Completion, Conversation

Check = Callable[[], None]


def _unnoticed(_error: ChatError, _wait_s: float) -> None:
    return


def _unchecked() -> None:
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

    patience = patience or Patience()
    async with AsyncExitStack() as stack:
        opened: list[Replica] = []
        for each in replicas(endpoint):
            connection = await stack.enter_async_context(
                connect(each, access=access, connect_s=patience.connect_s)
            )
            opened.append(
                Replica(each, access, connection, patience=patience, clock=clock, sleep=sleep)
            )
        await stack.enter_async_context(watching(tuple(opened)))
        retrying = policy(patience, sleep=sleep, notice=notice)
        yield Served(endpoint.served_model, opened, retrying)


class Served:
    """Asks one model; the transient troubles are retried here and nowhere else."""

    def __init__(
        self, served_model: str, replicas: Sequence[Replica], retrying: tenacity.AsyncRetrying
    ) -> None:
        """Ask for `served_model` at `replicas`, `retrying` what failed in passing."""
        self._served_model = served_model
        self._replicas = replicas
        self._retrying = retrying
        self._ranks = itertools.count()
        self._first = self.seat()

    def seat(self, check: Check = _unchecked) -> ChatBackend:
        """Return the backend of one investigation: it stays with one replica while that answers.

        Seats that were taken earlier go first where requests are held back. `check` is called
        when a request is about to be sent, and may raise to keep it from being sent.
        """
        return _Seat(self, next(self._ranks), check)

    async def complete(self, request: ChatRequest) -> Completion:
        """Return the model's reply, as the oldest seat of all."""
        return await self._first.complete(request)

    @property
    def loads(self) -> Sequence[tuple[Gate, Load | None]]:
        """What is in flight to each replica, and what it last said of itself."""
        return [(replica.gate, replica.load) for replica in self._replicas]

    async def count(self, conversation: Conversation) -> int | None:
        """Return how many tokens the conversation is as a prompt; None where no server tells."""
        body = encode_count(conversation, served_model=self._served_model)
        return await self.choose(None).count(body)

    async def ask(
        self, request: ChatRequest, attempt: Callable[[bytes], Awaitable[Completion]]
    ) -> Completion:
        """Return what `attempt` makes of the body of `request`, after as many as it takes."""
        body = encode(request, served_model=self._served_model)
        # A policy counts the attempts of one request: each request has its own.
        return await self._retrying.copy()(attempt, body)

    def choose(self, current: Replica | None) -> Replica:
        """Return `current` while it answers, else the healthy one with the least to do."""
        if current and (current.is_healthy or len(self._replicas) == 1):
            return current
        healthy = [replica for replica in self._replicas if replica.is_healthy]
        return min(healthy or self._replicas, key=lambda replica: replica.gate.n_held)


class _Seat:
    def __init__(self, served: Served, rank: int, check: Check) -> None:
        self._served = served
        self._rank = rank
        self._check = check
        self._replica: Replica | None = None

    async def complete(self, request: ChatRequest) -> Completion:
        return await self._served.ask(request, self._attempt)

    async def _attempt(self, body: bytes) -> Completion:
        self._replica = self._served.choose(self._replica)
        return await self._replica.ask(body, rank=self._rank, check=self._check)
