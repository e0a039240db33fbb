"""The HTTP side of an endpoint: bytes out, status and bytes in, foreign exceptions classified.

The `openai` client on its aiohttp transport, through its lower-level requests: no message is
validated or encoded again, no reply is built into models. It does not retry and does not follow
redirects (a key must not travel to another host). Importing this module imports `openai` (0.4 s).
"""

import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai

from engine.chat.refusals import one_line, where
from engine.endpoint import Endpoint
from engine.errors import ChatError, UsageError

if TYPE_CHECKING:
    from httpx2._types import HeaderTypes, RequestContent

_MOST_ANSWER_BYTES = 64 * 2**20
_KEEPALIVE_S = 4.0
"""Below the 5 s after which uvicorn (vLLM) and cpp-httplib (llama.cpp) drop an idle connection."""
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


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    retry_after_s: float | None


class Connection:
    """An open client of one endpoint. Safe to use from many tasks at once."""

    def __init__(self, client: openai.AsyncOpenAI, endpoint: Endpoint, key: str | None) -> None:
        """Ask `endpoint` through `client`."""
        self._client = client
        self._endpoint = endpoint
        self._key = key
        omitted = _SILENT_PER_REQUEST if key else (*_SILENT_PER_REQUEST, "Authorization")
        self._base = endpoint.url
        self._headers: dict[str, str | openai.Omit] = dict.fromkeys(omitted, openai.Omit())

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a JSON body; any status is an answer.

        Raises:
            ChatError: transient; no answer came.
        """
        try:
            response = await self._client.post(
                self._base + path,
                cast_to=httpx2.Response,
                content=body,
                options={"headers": self._headers},
            )
        except openai.APIStatusError as error:
            return _answer(error.response)
        except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:
            raise self._lost(error) from error
        return _answer(response)

    async def get(self, url: str) -> Answer:
        """Fetch an absolute URL; any status is an answer.

        Raises:
            ChatError: transient; no answer came.
        """
        try:
            response = await self._client.get(
                url, cast_to=httpx2.Response, options={"headers": self._headers}
            )
        except openai.APIStatusError as error:
            return _answer(error.response)
        except (openai.APIConnectionError, aiohttp.ClientError, OSError) as error:
            raise self._lost(error) from error
        return _answer(response)

    def _lost(self, error: Exception) -> ChatError:
        cause = _root(error)
        said = one_line(str(cause), self._key) or type(cause).__name__
        return ChatError(f"{where(self._endpoint)}: no answer: {said}", is_transient=True)


@asynccontextmanager
async def connect(
    endpoint: Endpoint, *, key: str | None, connect_s: float
) -> AsyncGenerator[Connection]:
    """Open a client for `endpoint`; close its connections on leaving.

    Raises:
        UsageError: the key cannot be sent in a header.
    """
    _check_key(endpoint, key)
    async with openai.AsyncOpenAI(
        api_key=key or "none",
        admin_api_key="",
        base_url=endpoint.url,
        max_retries=0,
        # The client documents Omit as a header value; its signature does not have it.
        default_headers=dict.fromkeys(_SILENT, openai.Omit()),  # pyright: ignore[reportArgumentType]
        http_client=_transport(endpoint.url, connect_s),
    ) as client:
        yield Connection(client, endpoint, key)


def _transport(url: str, connect_s: float) -> httpx2.AsyncClient:
    parts = urlsplit(url)
    is_local = is_loopback(parts.hostname or "")
    return _Lean(
        # aiohttp reads 0 as "no limit" and None as its own limit of 100.
        limits=httpx2.Limits(max_connections=0, keepalive_expiry=_KEEPALIVE_S),
        timeout=httpx2.Timeout(None, connect=connect_s),
        follow_redirects=False,
        trust_env=not is_local,  # a proxy cannot reach this machine's loopback
        verify=parts.scheme == "https",  # reading the trust store costs 20 ms; http has no use
        event_hooks={"response": [_bound]},
    )


class _Lean(openai.DefaultAioHttpClient):
    """Takes requests as the client above states them.

    That client has merged URL, headers and timeout already; doing it again costs 0.1 ms each time.
    """

    def build_request(
        self,
        method: str,
        url: httpx2.URL | str,
        *,
        content: "RequestContent | None" = None,
        headers: "HeaderTypes | None" = None,
        timeout: object = None,
        **_unused: object,
    ) -> httpx2.Request:
        limits = timeout if isinstance(timeout, httpx2.Timeout) else self.timeout
        return httpx2.Request(
            method,
            _parsed(str(url)),
            content=content,
            headers=headers,
            extensions={"timeout": limits.as_dict()},
        )


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx2.URL:
    return httpx2.URL(url)


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_key(endpoint: Endpoint, key: str | None) -> None:
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        message = (
            f"the key in {endpoint.key_variable} has characters that no key has (a space, a line "
            "break, an accent); set it again, without quotes or a line break around it"
        )
        raise UsageError(message)


async def _bound(response: httpx2.Response) -> None:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    stated = response.headers.get("content-length", "")
    if not stated.isdigit() or int(stated) > _MOST_ANSWER_BYTES:
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error where it exceeds what any completion can have."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        n_bytes = 0
        async for chunk in self._stream:
            n_bytes += len(chunk)
            if n_bytes > _MOST_ANSWER_BYTES:
                message = f"the answer is larger than {_MOST_ANSWER_BYTES >> 20} MiB; stopped there"
                raise ChatError(message)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _answer(response: httpx2.Response) -> Answer:
    retry_after_s = None if response.is_success else _retry_after_s(response.headers)
    return Answer(response.status_code, response.content, retry_after_s)


def _retry_after_s(headers: httpx2.Headers) -> float | None:
    """Read Retry-After: seconds, OpenAI's milliseconds, or a date (RFC 9110, section 10.2.3)."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000.0)
        stated = headers.get("retry-after", "")
        if stated.replace(".", "", 1).isdigit():
            return float(stated)
        return max(0.0, parsedate_to_datetime(stated).timestamp() - time())
    except ValueError:
        return None


def _root(error: BaseException) -> BaseException:
    """Return aiohttp's error, or the first cause: the outer layers only say "Connection error."."""
    while error.__cause__ is not None and not isinstance(error, aiohttp.ClientError):
        error = error.__cause__
    return error
