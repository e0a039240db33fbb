"""What carries the requests of the `openai` client: aiohttp, with nothing in between.

The client has merged URL, headers and timeout when it hands a request over, and authenticates and
follows redirects by itself or not at all. The layers of an httpx client (authentication,
redirects, cookies, hooks) would cost 0.15 ms of each request and have nothing left to do.
"""

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import httpx2

from engine.endpoint import Endpoint, is_loopback
from engine.errors import ChatError, UsageError

if TYPE_CHECKING:
    from httpx2._types import HeaderTypes, RequestContent

_MOST_ANSWER_BYTES = 64 * 2**20
_KEEPALIVE_S = 4.0
"""Below the 5 s after which uvicorn (vLLM) and cpp-httplib (llama.cpp) drop an idle connection."""
_NO_LIMIT = 0
_TOO_LARGE = f"the answer is larger than {_MOST_ANSWER_BYTES >> 20} MiB; stopped there"


class Carrier(httpx2.AsyncClient):
    """Sends requests as the client above states them. Belongs to the event loop that runs."""

    def __init__(self, endpoint: Endpoint, *, connect_s: float) -> None:
        """Carry requests to the server of `endpoint`, which must be reached within `connect_s`.

        Raises:
            UsageError: the CA file cannot be read.
        """
        self._pool = _Pool(endpoint, connect_s)
        super().__init__(
            transport=self._pool,
            timeout=httpx2.Timeout(None, connect=connect_s),
            follow_redirects=False,
            trust_env=False,
        )

    def build_request(
        self,
        method: str,
        url: httpx2.URL | str,
        *,
        content: "RequestContent | None" = None,
        headers: "HeaderTypes | None" = None,
        **_unused: object,
    ) -> httpx2.Request:
        """Return the request as it was stated."""
        return httpx2.Request(method, _parsed(str(url)), content=content, headers=headers)

    async def send(self, request: httpx2.Request, **_unused: object) -> httpx2.Response:
        """Send it, and read the answer to its end."""
        return await self._pool.handle_async_request(request)


class _Pool(httpx2.AsyncBaseTransport):
    """The connections to one server."""

    def __init__(self, endpoint: Endpoint, connect_s: float) -> None:
        parts = urlsplit(endpoint.url)
        is_tls = parts.scheme == "https"
        # A proxy of the environment is not for this machine; one that the endpoint names is.
        has_proxies = endpoint.proxy is None and not is_loopback(parts.hostname or "")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_NO_LIMIT,
                keepalive_timeout=_KEEPALIVE_S,
                ssl=trusting(endpoint) if is_tls else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
            proxy=endpoint.proxy or None,
            trust_env=has_proxies,
            auto_decompress=False,
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        async with self._session.request(
            request.method,
            str(request.url),
            headers=request.headers.multi_items(),
            data=request.content or None,
            allow_redirects=False,
        ) as response:
            return httpx2.Response(
                response.status,
                headers=response.raw_headers,
                content=await _body(response),
                request=request,
            )

    async def aclose(self) -> None:
        await self._session.close()


def trusting(endpoint: Endpoint) -> ssl.SSLContext:
    """Return whose certificates are believed at `endpoint`: the system's authorities, or its own.

    Raises:
        UsageError: the CA file cannot be read, or holds no certificate.
    """
    if not endpoint.is_tls_verified:
        return httpx2.create_ssl_context(verify=False)
    if endpoint.ca_file is None:
        return httpx2.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=endpoint.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"ca_file of endpoint {endpoint.model!r}: {endpoint.ca_file} holds no certificates "
            f"that can be read ({error.strerror or error}). It is a PEM file of the authority "
            "that signed the server's certificate."
        ) from error


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Read the answer to its end, but no more than any completion can have."""
    if (response.content_length or 0) > _MOST_ANSWER_BYTES:
        raise ChatError(_TOO_LARGE)
    if response.content_length is not None:
        return await response.read()
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MOST_ANSWER_BYTES:
            raise ChatError(_TOO_LARGE)
    return bytes(body)


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx2.URL:
    return httpx2.URL(url)
