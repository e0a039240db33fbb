"""The HTTP side of an endpoint: bytes out, status and bytes in, foreign exceptions classified.

The `openai` client over aiohttp, through its lower-level requests: no message is
validated or encoded again, no reply is built into models. It does not retry and does not follow
redirects (a key must not travel to another host). Importing this module imports `openai` (0.4 s).
"""

from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time
from typing import NamedTuple

import aiohttp
import httpx2
import openai

from engine.access import Access
from engine.chat.listing import WHERE_IS_IT
from engine.chat.refusals import one_line, where
from engine.chat.transport import Carrier
from engine.endpoint import Endpoint
from engine.errors import ChatError, NotReadyError, UsageError

_SILENT_PER_REQUEST = ("x-stainless-retry-count", "x-stainless-read-timeout")
_SILENT = (
    "X-Stainless-Lang",
    "X-Stainless-Package-Version",
    "X-Stainless-OS",
    "X-Stainless-Arch",
    "X-Stainless-Runtime",
    "X-Stainless-Runtime-Version",
    "X-Stainless-Async",
    "OpenAI-Organization",
    "OpenAI-Project",
)
"""Headers that tell about this machine and its owner; no model needs them."""
_NO_ANSWER = (aiohttp.ClientError, OSError, UnicodeError)
"""UnicodeError: the name of a host has a part that is empty or longer than 63 letters."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    retry_after_s: float | None


class Connection:
    """An open client of one endpoint. Safe to use from many tasks at once."""

    def __init__(
        self, client: openai.AsyncOpenAI, carrier: Carrier, endpoint: Endpoint, access: Access
    ) -> None:
        """Ask `endpoint` through `client`, whose requests `carrier` carries."""
        self._client = client
        self._carrier = carrier
        self._endpoint = endpoint
        self._access = access
        omitted = _SILENT_PER_REQUEST if access.key else (*_SILENT_PER_REQUEST, "Authorization")
        self._headers: dict[str, str | openai.Omit] = dict.fromkeys(omitted, openai.Omit())
        self._headers |= access.headers

    async def post(self, url: str, body: bytes) -> Answer:
        """Send a JSON body to an absolute URL; any status is an answer.

        The client states the first request to an address. Nothing but the body differs in those
        that follow, so that they are carried as it stated that one: 0.2 ms in place of 0.6.

        Raises:
            ChatError: transient; no answer came.
        """
        headers = self._carrier.stated.get(url)
        if headers is None:
            return await self._stated(url, body)
        try:
            arrived = await self._carrier.carry("POST", url, headers, body)
            if arrived.status == HTTPStatus.OK and not arrived.is_compressed:
                return Answer(arrived.status, arrived.body, None)
            return _answer(arrived.response())
        except (httpx2.DecodingError, *_NO_ANSWER) as error:
            raise self._lost(error) from error

    async def _stated(self, url: str, body: bytes) -> Answer:
        asking = self._client.post(
            url, cast_to=httpx2.Response, content=body, options={"headers": self._headers}
        )
        return _answer(await self._answered(asking))

    async def get(self, url: str) -> Answer:
        """Fetch an absolute URL; any status is an answer.

        Raises:
            ChatError: transient; no answer came.
        """
        asking = self._client.get(url, cast_to=httpx2.Response, options={"headers": self._headers})
        return _answer(await self._answered(asking))

    async def _answered(self, asking: Awaitable[httpx2.Response]) -> httpx2.Response:
        try:
            return await asking
        except openai.APIStatusError as error:
            return error.response
        except (openai.APIConnectionError, *_NO_ANSWER) as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> ChatError:
        cause = _root(error)
        said = one_line(str(cause), self._access) or type(cause).__name__
        return ChatError(f"{where(self._endpoint)}: no answer: {said}", is_transient=True)


@asynccontextmanager
async def connect(
    endpoint: Endpoint, *, access: Access, connect_s: float
) -> AsyncGenerator[Connection]:
    """Open a client for `endpoint`; close its connections on leaving.

    Raises:
        UsageError: the key cannot be sent in a header, or the CA file cannot be read.
        NotReadyError: no server can have such an address.
    """
    _check_address(endpoint)
    _check_key(endpoint, access.key)
    carrier = Carrier(endpoint, connect_s=connect_s)
    async with openai.AsyncOpenAI(
        api_key=access.key or "none",
        admin_api_key="",
        base_url=endpoint.url,
        max_retries=0,
        # The client documents Omit as a header value; its signature does not have it.
        default_headers=dict.fromkeys(_SILENT, openai.Omit()),  # pyright: ignore[reportArgumentType]
        http_client=carrier,
    ) as client:
        yield Connection(client, carrier, endpoint, access)


def _check_address(endpoint: Endpoint) -> None:
    try:
        httpx2.URL(endpoint.url)
    except httpx2.InvalidURL as error:
        raise NotReadyError(
            f"endpoint {endpoint.model!r}: cannot connect to {endpoint.url}: {error}. {WHERE_IS_IT}"
        ) from error


def _check_key(endpoint: Endpoint, key: str | None) -> None:
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        message = (
            f"the key in {endpoint.key_variable} has characters that no key has (a space, a line "
            "break, an accent); set it again, without quotes or a line break around it"
        )
        raise UsageError(message)


def _answer(response: httpx2.Response) -> Answer:
    return Answer(response.status_code, response.content, _retry_after_s(response.headers))


def _retry_after_s(headers: httpx2.Headers) -> float | None:
    """Read Retry-After: seconds, OpenAI's milliseconds, or a date (RFC 9110, section 10.2.3)."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000.0)
        stated = headers.get("retry-after", "")
        if stated.replace(".", "", 1).isdigit():
            return float(stated)
        return max(0.0, parsedate_to_datetime(stated).timestamp() - time())
    except (ValueError, OverflowError):
        return None


def _root(error: BaseException) -> BaseException:
    """Return aiohttp's error, or the first cause: the outer layers only say "Connection error."."""
    while error.__cause__ is not None and not isinstance(error, aiohttp.ClientError):
        error = error.__cause__
    return error
