"""What a server says that it serves: its answer to GET /v1/models, read. Pure."""

import re
from difflib import get_close_matches
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec

from engine.access import Access
from engine.chat.refusals import detail, key_remedy, one_line
from engine.chat.wire import UNREADABLE
from engine.endpoint import Endpoint
from engine.errors import EngineError, NotReadyError, UsageError

_MOST_SHOWN = 8
_LATER_STATUS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_KEY_STATUS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
WHERE_IS_IT = "Is the server started, and are host and port right?"
_WANTS_TLS = re.compile(r"HTTPS (port|server)|TLS", re.IGNORECASE)
"""nginx, Apache and Go answer plain HTTP at a TLS port with such words."""


class _Meta(msgspec.Struct):
    n_ctx: int | None = None


class Model(msgspec.Struct):
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
        """Context in tokens; None where it is not said."""
        n_ctx = self.meta.n_ctx if self.meta else None
        return self.max_model_len or n_ctx or self.context_length or self.context_window


class _Models(msgspec.Struct):
    data: list[Model]


def read_models(body: bytes) -> list[Model] | None:
    """Return the models in an answer; None: it is no list of models."""
    try:
        return msgspec.json.decode(body, type=_Models).data
    except UNREADABLE:
        return None


def pick(endpoint: Endpoint, models: list[Model]) -> Model:
    """Return the model of `endpoint` among those that are served.

    Raises:
        UsageError: it is none of them; what is served and the nearest are named.
    """
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


def no_list(
    endpoint: Endpoint, status: int, body: bytes, *, access: Access, nearby: str | None
) -> EngineError:
    """Return what is wrong where the answer is no list of models.

    `nearby`: a base URL of the same server that gives one.
    """
    said = one_line(detail(body), access)
    tried = f"endpoint {endpoint.model!r}: GET {endpoint.url}/models was answered {status}"
    if status in _KEY_STATUS:
        remedy = key_remedy(endpoint, has_key=bool(access.key))
        return NotReadyError(f"{tried}: {said}. {remedy}")
    if is_later(status):
        return NotReadyError(
            f"{tried}: {said}. The server is there but not ready; try again later."
        )
    if endpoint.url.startswith("http:") and _WANTS_TLS.search(said):
        return NotReadyError(f"{tried}: {said}. It wants TLS: write {_with_tls(endpoint.url)}.")
    hint = f" Did you mean {nearby}?" if nearby else ""
    return NotReadyError(
        f"{tried}: {said}. That is no OpenAI-compatible server, or not its base URL (which "
        f"usually ends in /v1).{hint}"
    )


def is_later(status: int) -> bool:
    """Return whether a server that answers so may answer otherwise after a while."""
    return status in _LATER_STATUS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def is_base_wrong(status: int) -> bool:
    """Return whether such an answer may come from a wrong path."""
    return status not in _KEY_STATUS and not is_later(status)


def other_bases(url: str) -> tuple[str, ...]:
    """Return where else on the same server the API may lie."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    near = (f"{url}/v1", f"{url.rpartition('/')[0]}/v1", f"{origin}/v1", f"{origin}/api/v1")
    return tuple(base for base in dict.fromkeys(near) if base != url)


def lost_hint(url: str, cause: str) -> str:
    """Return what to do where a server could not be talked to, because of `cause`."""
    parts = urlsplit(url)
    address = f"{parts.netloc}{parts.path}"
    if "CERTIFICATE" in cause.upper():
        return (
            "Its certificate is not trusted here; name its authority's by ca_file in the --config "
            "file, or by SSL_CERT_FILE."
        )
    if re.search(r"Connect call failed|resolution|not known|label (empty|too long)", cause):
        return WHERE_IS_IT
    if parts.scheme == "https":
        return f"Something is there; if it speaks plain HTTP, write http://{address}."
    return f"Something is there that does not answer as HTTP; if it wants TLS, write https://{address}."


def _with_tls(url: str) -> str:
    return "https" + url.removeprefix("http")
