"""One address of a model: its connections, its gate, and whether it answers at present."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from asyncio_throttle.throttler import Throttler

from engine.access import Access
from engine.chat.admission import Gate, Pace
from engine.chat.load import Load, parse_load
from engine.chat.patience import Clock, Patience, is_away
from engine.chat.refusals import detail, error_code, one_line, refusal, tells_error, where
from engine.chat.waits import Check, Waits
from engine.chat.wire import FilteredError, Reply, ShapeError, decode, decode_count
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
_TELLS_NONE = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.NOT_IMPLEMENTED,
    }
)
"""Answers to a look at the metrics that will not be others later; 501 is llama.cpp's."""
_LONG_S = 2.0
"""A server that wants no request for longer than this is not waited for while another is idle: to
read a long conversation from its beginning takes the other about as long."""
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
        waits: Waits,
    ) -> None:
        """Ask `endpoint` over `connection`; what is held back waits in `waits`."""
        self._endpoint = endpoint
        self._access = access
        self.connection = connection
        self._patience = patience
        self._clock = clock
        self._shunned_until = -math.inf
        self._away_since_s = math.inf
        self._is_own = is_own(urlsplit(endpoint.url).hostname or "")
        self.gate = Gate(
            limit=math.inf if self._is_own else FIRST,
            clock=clock,
            pace=_pace(endpoint.requests_per_s),
            waits=waits,
        )
        self.load: Load | None = None
        """What it last said of itself; None where it says nothing."""

    @property
    def url(self) -> str:
        """Its base URL."""
        return self._endpoint.url

    @property
    def absence_s(self) -> float:
        """Seconds since it was found away for the first time; 0 once it answers."""
        return max(0.0, self._clock() - self._away_since_s)

    @property
    def is_healthy(self) -> bool:
        """True unless it failed to answer a moment ago."""
        return self._clock() >= self._shunned_until

    @property
    def is_open(self) -> bool:
        """True unless it failed to answer a moment ago, or wants no request for long."""
        return self.is_healthy and self.gate.shut_s <= _LONG_S

    async def ask(self, body: bytes, *, rank: int, check: Check) -> Completion:
        """Get one completion; `check` may refuse that it is asked for, until its turn has come.

        Raises:
            ChatError: there was none.
        """
        async with self.gate.slot(rank, check):
            check()
            sent, sent_s = time(), self._clock()
            try:
                reply = self._read(await self._post(body, sent_s))
            except ChatError as error:
                self._note(error, sent_s)
                raise
        self.gate.answered(sent_s)
        self._away_since_s = math.inf
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
        """Follow the load of a server of one's own, unless that never told any and tells none."""
        has_told = False
        while self._is_own:
            answer = await self._look()
            if answer is not None and _is_about_load(answer):
                self._heed(parse_load(answer.body.decode(errors="replace"), time_s=self._clock()))
                if not (has_told := has_told or self.load is not None):
                    return
            await asyncio.sleep(_LOOK_EVERY_S)

    def _heed(self, load: Load | None) -> None:
        """Take in what it says of its load; None: it does not say any more."""
        if load is None:
            self.gate.unobserve()
        else:
            self.gate.observe(load, self.load)
        self.load = load

    async def _look(self) -> "Answer | None":
        """Return what the server answers to a look at its metrics; None: nothing at the moment."""
        try:
            async with asyncio.timeout(_LOOK_S):
                return await self.connection.get(beside(self.url, "metrics"))
        except (ChatError, TimeoutError):
            return None

    def _note(self, error: ChatError, sent_s: float) -> None:
        if is_away(error):
            self._shunned_until = self._clock() + _SHUNNED_S
            self._away_since_s = min(self._away_since_s, self._clock())
        else:
            self._away_since_s = math.inf
        if error.status == HTTPStatus.GATEWAY_TIMEOUT:
            self.gate.timed_out(sent_s)
        elif error.status == HTTPStatus.TOO_MANY_REQUESTS and error.is_transient:
            longest_s = self._patience.longest_retry_after_s
            self.gate.throttled(sent_s, min(error.retry_after_s or 0.0, longest_s))

    async def _post(self, body: bytes, sent_s: float) -> "Answer":
        answer_s = self._patience.answer_s
        try:
            async with asyncio.timeout(answer_s):
                return await self.connection.post(f"{self.url}/chat/completions", body)
        except TimeoutError as error:
            self.gate.timed_out(sent_s)
            message = f"{where(self._endpoint)}: no complete answer within {answer_s:g} s"
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
        """Return the error of an answer that was torn, or of one that will never be another."""
        said = one_line(detail(answer.body), self._access)
        message = f"{where(self._endpoint)}: the answer is no completion ({error}): {said}"
        is_transient = _may_be_another(error, answer.body)
        return ChatError(message, status=answer.status, is_transient=is_transient)


@asynccontextmanager
async def watching(replicas: tuple[Replica, ...]) -> AsyncGenerator[None]:
    """Follow the load of all `replicas`, and keep their gates, until the block ends."""
    try:
        async with asyncio.TaskGroup() as group:
            watches = [group.create_task(replica.watch()) for replica in replicas]
            watches += [group.create_task(replica.gate.keep()) for replica in replicas]
            try:
                yield
            finally:
                for watch in watches:
                    watch.cancel()
    except BaseExceptionGroup as errors:
        # The block's own error: a watch raises none.
        raise errors.exceptions[0] from None


def _may_be_another(error: ValueError, body: bytes) -> bool:
    """Return whether the same question may have another answer than this one."""
    if isinstance(error, FilteredError):
        return False
    return not isinstance(error, ShapeError) or tells_error(body)


def _is_about_load(answer: "Answer") -> bool:
    """Return whether an answer tells a load, or that there will be none."""
    return answer.status == HTTPStatus.OK or answer.status in _TELLS_NONE


def _pace(requests_per_s: float | None) -> Pace | None:
    """Return what caps request starts; fractions are spread over a longer period."""
    if requests_per_s is None:
        return None
    n_starts = max(1, math.floor(requests_per_s))
    return Throttler(rate_limit=n_starts, period=n_starts / requests_per_s).acquire
