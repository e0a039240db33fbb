"""One address of a model: its connections, its gate, and whether it answers at present."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from asyncio_throttle.throttler import Throttler

from engine.access import Access
from engine.chat.admission import Clock, Gate
from engine.chat.load import Load, parse_load
from engine.chat.patience import Patience, Sleep
from engine.chat.refusals import detail, error_code, one_line, refusal, where
from engine.chat.wire import Reply, decode, decode_count
from engine.endpoint import Endpoint, beside, is_own
from engine.errors import ChatError
from engine.transcript import Completion

if TYPE_CHECKING:
    from engine.chat.connection import Answer, Connection

FIRST = 32
"""Requests in flight at a remote endpoint at first; with every answer one more, until one is
refused."""
_SHUNNED_S = 10.0
"""How long other replicas are preferred to one that did not answer."""
_AWAY = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
_LOOK_EVERY_S = 1.0
_LOOK_S = 5.0


class Replica:
    """Asks one address, once per call: no retry here."""

    def __init__(
        self,
        endpoint: Endpoint,
        access: Access,
        connection: "Connection",
        *,
        patience: Patience,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        """Ask `endpoint` over `connection`."""
        self._endpoint = endpoint
        self._access = access
        self.connection = connection
        self._answer_s = patience.answer_s
        self._clock = clock
        self._throttle = _throttle(endpoint.requests_per_s)
        self._shunned_until = -math.inf
        self._is_own = is_own(urlsplit(endpoint.url).hostname or "")
        self.gate = Gate(limit=math.inf if self._is_own else FIRST, clock=clock, sleep=sleep)
        self.load: Load | None = None
        """What it last said of itself; None where it says nothing."""

    @property
    def url(self) -> str:
        """Its base URL."""
        return self._endpoint.url

    @property
    def is_healthy(self) -> bool:
        """True unless it failed to answer a moment ago."""
        return self._clock() >= self._shunned_until

    async def ask(self, body: bytes, *, rank: int, check: Callable[[], None]) -> Completion:
        """Get one completion; `check` may refuse that it is asked for when its turn has come.

        Raises:
            ChatError: there was none.
        """
        async with self.gate.slot(rank), self._throttle:
            check()
            sent, sent_s = time(), self._clock()
            try:
                reply = self._read(await self._post(body))
            except ChatError as error:
                self._note(error, sent_s)
                raise
        self.gate.answered()
        return Completion(
            text=reply.text,
            finish_reason=reply.finish_reason,
            usage=reply.usage,
            sent=sent,
            received=time(),
        )

    async def count(self, body: bytes) -> int | None:
        """Return how many tokens a conversation is as a prompt; None where it is not told."""
        try:
            async with asyncio.timeout(_LOOK_S):
                answer = await self.connection.post(beside(self.url, "tokenize"), body)
        except (ChatError, TimeoutError):
            return None
        return decode_count(answer.body) if answer.status == HTTPStatus.OK else None

    async def watch(self) -> None:
        """Follow the load of a server of one's own, as long as it tells."""
        if not self._is_own:
            return
        while (load := await self._look()) is not None:
            self.gate.observe(load, self.load)
            self.load = load
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _look(self) -> Load | None:
        """Return the load; the last one when there is no answer at the moment."""
        try:
            async with asyncio.timeout(_LOOK_S):
                answer = await self.connection.get(beside(self.url, "metrics"))
        except (ChatError, TimeoutError):
            return self.load
        if answer.status != HTTPStatus.OK:
            return self.load
        return parse_load(answer.body.decode(errors="replace"), time_s=self._clock())

    def _note(self, error: ChatError, sent_s: float) -> None:
        if error.status == HTTPStatus.TOO_MANY_REQUESTS and error.is_transient:
            self.gate.throttled(sent_s, error.retry_after_s)
        elif error.is_transient and (error.status is None or error.status in _AWAY):
            self._shunned_until = self._clock() + _SHUNNED_S

    async def _post(self, body: bytes) -> "Answer":
        try:
            async with asyncio.timeout(self._answer_s):
                return await self.connection.post(f"{self.url}/chat/completions", body)
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
            access=self._access,
            retry_after_s=answer.retry_after_s,
        )

    def _unreadable(self, answer: "Answer", error: ValueError) -> ChatError:
        said = one_line(detail(answer.body), self._access)
        message = f"{where(self._endpoint)}: the answer is no completion ({error}): {said}"
        return ChatError(message, status=answer.status, is_transient=True)


@asynccontextmanager
async def watching(replicas: tuple[Replica, ...]) -> AsyncGenerator[None]:
    """Follow the load of all `replicas` until the block ends."""
    try:
        async with asyncio.TaskGroup() as group:
            watches = [group.create_task(replica.watch()) for replica in replicas]
            try:
                yield
            finally:
                for watch in watches:
                    watch.cancel()
    except BaseExceptionGroup as errors:
        # The block's own error: a watch raises none.
        raise errors.exceptions[0] from None


def _throttle(requests_per_s: float | None) -> AbstractAsyncContextManager[object]:
    """Return a gate for request starts; fractions are spread over a longer period."""
    if requests_per_s is None:
        return nullcontext()
    n_starts = max(1, math.floor(requests_per_s))
    return Throttler(rate_limit=n_starts, period=n_starts / requests_per_s)
