"""Asks an endpoint, before a run begins, what it serves: every mistake is found in seconds."""

import asyncio
import re
from difflib import get_close_matches
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from engine.chat.refusals import detail, key_remedy, one_line
from engine.endpoint import Endpoint, replicas
from engine.errors import ChatError, NotReadyError, UsageError

if TYPE_CHECKING:
    from engine.chat.connection import Answer, Connection

_WITHIN_S = 8.0
_MOST_SHOWN = 8
_LATER_STATUS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_KEY_STATUS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class _Meta(msgspec.Struct):
    n_ctx: int | None = None


class _Model(msgspec.Struct):
    """An entry of /v1/models; the window has another name with every kind of server."""

    id: str
    aliases: list[str] = []
    max_model_len: int | None = None
    """vLLM, SGLang."""
    meta: _Meta | None = None
    """llama.cpp: `n_ctx` is the window of one slot, `n_ctx_train` says nothing about it."""
    context_length: int | None = None
    """OpenRouter, Together."""
    context_window: int | None = None
    """Groq."""

    @property
    def window(self) -> int | None:
        n_ctx = self.meta.n_ctx if self.meta else None
        return self.max_model_len or n_ctx or self.context_length or self.context_window


class _Models(msgspec.Struct):
    data: list[_Model]


class _Generation(msgspec.Struct):
    n_ctx: int | None = None


class _Props(msgspec.Struct):
    default_generation_settings: _Generation


async def resolve(endpoint: Endpoint, *, key: str | None, within_s: float = _WITHIN_S) -> Endpoint:
    """Return `endpoint` with its window filled in, having seen that every URL serves the model.

    Raises:
        NotReadyError: it is down, refuses the key, or is no OpenAI-compatible server.
        UsageError: it does not serve the model; the message names what it serves.
    """
    windows = [await _window(each, key, within_s) for each in replicas(endpoint)]
    window = min((window for window in windows if window), default=endpoint.max_model_len)
    return msgspec.structs.replace(endpoint, max_model_len=window)


async def _window(endpoint: Endpoint, key: str | None, within_s: float) -> int | None:
    from engine.chat.connection import connect  # imports openai: 0.4 s

    async with connect(endpoint, key=key, connect_s=within_s) as connection:
        answer = await _ask(connection, endpoint, f"{endpoint.url}/models", within_s)
        models = _models(endpoint, answer, key)
        found = _pick(endpoint, models)
        window = found.window
        if window is None and found.meta is not None:
            window = await _llama_cpp_window(connection, endpoint, within_s)
    return window


async def _ask(connection: "Connection", endpoint: Endpoint, url: str, within_s: float) -> "Answer":
    tried = f"endpoint {endpoint.model!r}: GET {url}"
    try:
        async with asyncio.timeout(within_s):
            return await connection.get(url)
    except TimeoutError as error:
        raise NotReadyError(
            f"{tried} was not answered within {within_s:g} s. Is the server still starting, "
            "overloaded, or behind a firewall that drops requests?"
        ) from error
    except ChatError as error:
        cause = one_line(str(error).partition(": no answer: ")[2] or str(error))
        raise NotReadyError(f"{tried} failed: {cause}. {_hint(endpoint.url, cause)}") from error


def _hint(url: str, cause: str) -> str:
    parts = urlsplit(url)
    address = f"{parts.netloc}{parts.path}"
    if "CERTIFICATE" in cause.upper():
        return "Its certificate is not trusted here; SSL_CERT_FILE may name its authority's."
    if re.search(r"Connect call failed|resolution|not known", cause):
        return "Is the server started, and are host and port right?"
    if parts.scheme == "https":
        return f"Something is there; if it speaks plain HTTP, write http://{address}."
    return f"Something is there that does not answer as HTTP; if it wants TLS, write https://{address}."


def _models(endpoint: Endpoint, answer: "Answer", key: str | None) -> list[_Model]:
    said = one_line(detail(answer.body), key)
    tried = f"endpoint {endpoint.model!r}: GET {endpoint.url}/models was answered {answer.status}"
    if answer.status in _KEY_STATUS:
        remedy = key_remedy(endpoint, has_key=bool(key))
        raise NotReadyError(f"{tried}: {said}. {remedy}")
    if answer.status in _LATER_STATUS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise NotReadyError(f"{tried}: {said}. The server is there but not ready; try again later.")
    try:
        return msgspec.json.decode(answer.body, type=_Models).data
    except ValueError as error:
        raise NotReadyError(
            f"{tried}: {said}. That is no OpenAI-compatible server, or not its base URL (which "
            "usually ends in /v1)."
        ) from error


def _pick(endpoint: Endpoint, models: list[_Model]) -> _Model:
    wanted = endpoint.served_model
    for model in models:
        if wanted == model.id or wanted in model.aliases:
            return model
    names = [model.id for model in models]
    near = get_close_matches(wanted, names, n=1, cutoff=0.5)
    chosen = near[0] if near else names[0] if names else "MODEL"
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    raise UsageError(
        f"endpoint {endpoint.model!r}: {endpoint.url} does not serve {wanted!r}. It serves: "
        f"{', '.join(names[:_MOST_SHOWN]) or 'nothing'}{more}."
        + (f" Did you mean {near[0]!r}?" if near else "")
        + f" Name it behind a #: --endpoint {endpoint.model}={endpoint.url}#{chosen}"
    )


async def _llama_cpp_window(
    connection: "Connection", endpoint: Endpoint, within_s: float
) -> int | None:
    """Ask /props, which lies beside /v1: older llama.cpp servers state the window only there."""
    parts = urlsplit(endpoint.url)
    try:
        url = f"{parts.scheme}://{parts.netloc}/props"
        answer = await _ask(connection, endpoint, url, within_s)
        return msgspec.json.decode(answer.body, type=_Props).default_generation_settings.n_ctx
    except (NotReadyError, ValueError):
        return None
