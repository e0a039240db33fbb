"""A served model as a chat backend: any OpenAI-compatible endpoint over HTTP."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from time import time
from typing import TYPE_CHECKING

from asyncio_throttle.throttler import Throttler

from engine.chat import ChatBackend, ChatRequest
from engine.chat.patience import Notice, Patience, Sleep, policy
from engine.chat.refusals import detail, error_code, one_line, refusal, where
from engine.chat.wire import Reply, decode, encode
from engine.endpoint import Endpoint
from engine.errors import ChatError
from engine.transcript import Completion

if TYPE_CHECKING:
    from engine.chat.connection import Answer, Connection


def _unnoticed(_error: ChatError, _wait_s: float) -> None:
    return


@asynccontextmanager
async def open_backend(
    endpoint: Endpoint,
    *,
    key: str | None,
    patience: Patience | None = None,
    notice: Notice = _unnoticed,
    sleep: Sleep = asyncio.sleep,
) -> AsyncGenerator[ChatBackend]:
    """Open a chat backend for `endpoint`; its connections close on leaving.

    `notice` is told of every failed attempt that will be repeated; `sleep` waits between attempts.

    Raises:
        UsageError: the key cannot be sent in a header.
    """
    from engine.chat.connection import connect  # imports openai: 0.4 s

    patience = patience or Patience()
    async with connect(endpoint, key=key, connect_s=patience.connect_s) as connection:
        yield _Served(endpoint, key, connection, patience, notice, sleep)


class _Served:
    """Asks one endpoint; the transient troubles are retried here and nowhere else."""

    def __init__(
        self,
        endpoint: Endpoint,
        key: str | None,
        connection: "Connection",
        patience: Patience,
        notice: Notice,
        sleep: Sleep,
    ) -> None:
        self._endpoint = endpoint
        self._key = key
        self._connection = connection
        self._answer_s = patience.answer_s
        self._policy = policy(patience, sleep=sleep, notice=notice)
        self._throttle = _throttle(endpoint.requests_per_s)

    async def complete(self, request: ChatRequest) -> Completion:
        body = encode(request, served_model=self._endpoint.served_model)
        # A policy counts the attempts of one request: each request has its own.
        retrying = self._policy.copy()
        return await retrying(self._attempt, body)

    async def _attempt(self, body: bytes) -> Completion:
        async with self._throttle:
            sent = time()
        reply = self._read(await self._ask(body))
        return Completion(
            text=reply.text,
            finish_reason=reply.finish_reason,
            usage=reply.usage,
            sent=sent,
            received=time(),
        )

    async def _ask(self, body: bytes) -> "Answer":
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._connection.post("/chat/completions", body)
        except TimeoutError as error:
            message = f"{where(self._endpoint)}: no complete answer within {self._answer_s:g} s"
            raise ChatError(message, is_transient=True) from error

    def _read(self, answer: "Answer") -> Reply:
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            raise self._refusal(answer, answer.status)
        try:
            return decode(answer.body)
        except ValueError as error:
            hidden = error_code(answer.body)
            if hidden is not None:
                raise self._refusal(answer, hidden) from error
            raise self._unreadable(answer, error) from error

    def _refusal(self, answer: "Answer", status: int) -> ChatError:
        return refusal(
            self._endpoint,
            status=status,
            body=answer.body,
            key=self._key,
            retry_after_s=answer.retry_after_s,
        )

    def _unreadable(self, answer: "Answer", error: ValueError) -> ChatError:
        said = one_line(detail(answer.body), self._key)
        message = f"{where(self._endpoint)}: the answer is no completion ({error}): {said}"
        return ChatError(message, status=answer.status, is_transient=True)


def _throttle(requests_per_s: float | None) -> AbstractAsyncContextManager[None]:
    """Return a gate for request starts; fractions are spread over a longer period."""
    if requests_per_s is None:
        return nullcontext()
    n_starts = max(1, math.floor(requests_per_s))
    return Throttler(rate_limit=n_starts, period=n_starts / requests_per_s)
