"""Where a served model answers. A value: no connection, no key."""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

import msgspec

from engine.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FORM = "expected NAME=URL[,URL...] or NAME=URL#MODEL, e.g. small=http://127.0.0.1:8000/v1#my-model"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One OpenAI-compatible base URL and the model that is asked there."""

    model: str
    """Name of the arm in the study, e.g. "qwen2.5-3b"."""
    url: str
    """Base URL up to and including /v1."""
    served_model: str
    """What the server calls the model: the `model` field of a request."""
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; the key itself is never stored."""
    checkpoint: str | None = None
    """Directory with the config.json and safetensors of the weights served, or the repository of
    the hub that has them (OWNER/NAME or OWNER/NAME@REVISION), if they can be read."""
    max_model_len: int | None = None
    """Context window in tokens, as the server states it; None when it does not."""
    others: tuple[str, ...] = ()
    """Further base URLs that serve the same model; an investigation stays with one of them."""
    requests_per_s: float | None = None
    """Cap on request starts per second; None for a local server, which queues by itself."""


def parse_endpoint(text: str) -> Endpoint:
    """Read NAME=URL[,URL...][#MODEL]: several addresses are replicas of one model.

    NAME names the arm; MODEL is what the server calls it, else NAME.
    A URL without a path gets /v1; one that goes on to /chat/completions is cut there.

    Raises:
        UsageError: the text is none; the message names the part that is wrong and the remedy.
    """
    name, equals, rest = text.partition("=")
    address, hash_sign, served_model = rest.partition("#")
    if not (name and equals and address) or (hash_sign and not served_model):
        raise UsageError(f"--endpoint {text!r}: {_FORM}.")
    _check_name(text, name)
    url, *others = dict.fromkeys(_base_url(text, each) for each in address.split(","))
    return Endpoint(model=name, url=url, served_model=served_model or name, others=tuple(others))


def beside(base_url: str, path: str) -> str:
    """Return the URL of what a server offers beside /v1, such as its metrics."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}/{path}"


def replicas(endpoint: Endpoint) -> tuple[Endpoint, ...]:
    """Return `endpoint` once for each of its base URLs."""
    urls = (endpoint.url, *endpoint.others)
    return tuple(msgspec.structs.replace(endpoint, url=url, others=()) for url in urls)


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_own(host: str) -> bool:
    """Return whether `host` is this machine or, by its address, in a network of one's own."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return is_loopback(host)


def check_distinct(endpoints: Iterable[Endpoint]) -> None:
    """Raise UsageError if two endpoints have the same NAME: each arm of a study needs its own."""
    seen: dict[str, Endpoint] = {}
    for endpoint in endpoints:
        other = seen.setdefault(endpoint.model, endpoint)
        if other is not endpoint:
            raise UsageError(
                f"--endpoint: two endpoints are called {endpoint.model!r} ({other.url} and "
                f"{endpoint.url}); give each its own NAME."
            )


def _check_name(text: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--endpoint {text!r}: the name {name!r} may have only letters, digits and . _ - (64 "
            "at most); what the server calls the model goes behind a #: NAME=URL#MODEL."
        )


def _base_url(text: str, address: str) -> str:
    try:
        parts = urlsplit(address)
        has_address = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise UsageError(f"--endpoint {text!r}: {address!r} is no URL: {error}.") from error
    if parts.scheme not in {"http", "https"} or not has_address or re.search(r"\s", address):
        raise UsageError(
            f"--endpoint {text!r}: {address!r} is no base URL; it begins with http:// or https:// "
            "and a host, and usually ends in /v1."
        )
    _check_extras(parts)
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def _check_extras(parts: SplitResult) -> None:
    """The message does not repeat the text: it may hold a secret."""
    if "@" in parts.netloc:
        raise UsageError(
            f"--endpoint for {parts.hostname}: a name or password in the URL would be stored and "
            "shown; put the key into OPENAI_API_KEY instead."
        )
    if parts.query:
        raise UsageError(
            f"--endpoint for {parts.hostname}: a base URL has no ?query; leave it out, and put a "
            "key into OPENAI_API_KEY."
        )
