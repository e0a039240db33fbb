"""What carries the requests of the `openai` client: aiohttp, with nothing in between.

The client has merged URL, headers and timeout when it hands a request over, and authenticates and
follows redirects by itself or not at all. The layers of an httpx client (authentication,
redirects, cookies, hooks) would cost 0.15 ms of each request and have nothing left to do.
"""

import ssl
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

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


Headers = list[tuple[str, str]]


class Arrived(NamedTuple):
    """An answer, as it arrived."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    """As it was sent: compressed, where the headers say so."""
    is_compressed: bool

    def response(self, request: httpx2.Request | None = None) -> httpx2.Response:
        """Return it as the client understands it, decompressed."""
        return httpx2.Response(
            self.status, headers=self.headers, content=self.body, request=request
        )


class Carrier(httpx2.AsyncClient):
    """Sends requests as the client above states them. Belongs to the event loop that runs."""

    def __init__(self, endpoint: Endpoint, *, connect_s: float) -> None:
        """Carry requests to the server of `endpoint`, which must be reached within `connect_s`.

        Raises:
            UsageError: the CA file cannot be read.
        """
        self._session = _session(endpoint, connect_s)
        self.stated: dict[str, Headers] = {}
        """URL -> what the client states in the head of every POST to it."""
        super().__init__(
            transport=httpx2.AsyncBaseTransport(),
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
        return httpx2.Request(method, url, content=content, headers=headers)

    async def send(self, request: httpx2.Request, **_unused: object) -> httpx2.Response:
        """Send it, and read the answer to its end."""
        url, headers = str(request.url), request.headers.multi_items()
        if request.method == "POST":
            self.stated[url] = [each for each in headers if each[0].lower() != "content-length"]
        arrived = await self.carry(request.method, url, headers, request.content)
        return arrived.response(request)

    async def carry(self, method: str, url: str, headers: Headers, body: bytes) -> Arrived:
        """Send bytes, and read the answer to its end.

        Raises:
            aiohttp.ClientError, OSError: no answer came.
            ChatError: the answer is larger than any completion.
        """
        async with self._session.request(
            method, url, headers=headers, data=body or None, allow_redirects=False
        ) as response:
            return Arrived(
                status=response.status,
                headers=response.raw_headers,
                body=await _body(response),
                is_compressed="Content-Encoding" in response.headers,
            )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()
        await super().aclose()


def _session(endpoint: Endpoint, connect_s: float) -> aiohttp.ClientSession:
    """Return the connections to one server."""
    parts = urlsplit(endpoint.url)
    is_tls = parts.scheme == "https"
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=_NO_LIMIT,
            keepalive_timeout=_KEEPALIVE_S,
            ssl=trusting(endpoint) if is_tls else True,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
        proxy=_proxy_of_environment(parts) if endpoint.proxy is None else endpoint.proxy or None,
        trust_env=False,
        auto_decompress=False,
    )


def _proxy_of_environment(url: SplitResult) -> str | None:
    """Return the proxy that the environment names for `url`; there is none to this machine.

    aiohttp would look for it itself (`trust_env`), but only together with the names and passwords
    of ~/.netrc, which are nothing to the server of a model.
    """
    host = url.hostname or ""
    return None if is_loopback(host) or proxy_bypass(host) else getproxies().get(url.scheme)


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
