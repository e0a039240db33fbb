"""Where a served model answers. A value: no connection, no key."""

import ipaddress
import math
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

import msgspec

from engine.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"
_FORM = "expected NAME=URL[,URL...] or NAME=URL#MODEL, e.g. small=http://127.0.0.1:8000/v1#my-model"


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a million tokens cost at an endpoint."""

    prompt: float
    """Of the conversation that is sent."""
    completion: float
    """Of what the model writes."""
    cached: float | None = None
    """Of the conversation, where the server has it in its cache; None: as any other."""
    currency: str = "USD"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One OpenAI-compatible base URL and the model that is asked there."""

    model: str
    """Name of the arm in the study, e.g. "qwen2.5-3b"."""
    url: str
    """Base URL up to and including /v1."""
    served_model: str
    """What the server calls the model: the `model` field of a request."""
    key_variable: str = DEFAULT_KEY_VARIABLE
    """Name of the environment variable that holds the key; the key itself is never stored."""
    checkpoint: str | None = None
    """Directory with the config.json and safetensors of the weights served, or the repository of
    the hub that has them (OWNER/NAME or OWNER/NAME@REVISION), if they can be read."""
    quantization: str | None = None
    """How the server has quantised them, e.g. "gguf 4-bit"; None: they are served as stored."""
    max_model_len: int | None = None
    """Context window in tokens, as the server states it; None when it does not."""
    others: tuple[str, ...] = ()
    """Further base URLs that serve the same model; an investigation stays with one of them."""
    requests_per_s: float | None = None
    """Cap on request starts per second at each URL; None for a local server, which queues by
    itself."""
    headers: dict[str, str] = {}
    """Sent with every request; $NAME stands for the value of a variable, which is never stored."""
    ca_file: str | None = None
    """Certificates (PEM) of the authorities that are trusted there; None: those of the system."""
    is_tls_verified: bool = True
    """False only where somebody wrote it down: whoever is in between can read and change all."""
    proxy: str | None = None
    """URL of the proxy to it; "" is none, and None whatever the environment names."""
    prices: Prices | None = None
    has_system_role: bool = True
    """False where the model's chat template refuses system messages: what one would say then opens
    the first user message."""

    def __post_init__(self) -> None:
        """Raise UsageError if the cap or a price is none."""
        if self.requests_per_s is not None and not 0 < self.requests_per_s < math.inf:
            raise UsageError(
                f"endpoint {self.model!r}: requests_per_s is {self.requests_per_s}, and must be a "
                "number above 0; leave it out where there is no cap."
            )
        for field in ("prompt", "completion", "cached"):
            price: float | None = getattr(self.prices, field, None)
            if price is not None and not 0 <= price < math.inf:
                raise UsageError(
                    f"endpoint {self.model!r}: prices.{field} is {price}, and must be a number "
                    "from 0 on; leave prices out where there are none."
                )


def parse_endpoint(text: str) -> Endpoint:
    """Read NAME=URL[,URL...][#MODEL]: several addresses are replicas of one model.

    NAME names the arm; MODEL is what the server calls it, else NAME.
    A URL without a path gets /v1; one that goes on to /chat/completions is cut there.

    Raises:
        UsageError: the text is none; the message names the part that is wrong and the remedy.
    """
    name, equals, rest = text.partition("=")
    address, hash_sign, served_model = rest.partition("#")
    is_named = bool(equals and _NAME.fullmatch(name))
    shown = f"{name}={_shown(rest)}" if is_named else _shown(text)
    origin = f"--endpoint {shown!r}"
    has_parts = name and equals and address and "//" not in name
    if not has_parts or (hash_sign and not served_model):
        raise UsageError(f"{origin}: {_FORM}.")
    return endpoint_at(address.split(","), name=name, served_model=served_model, origin=origin)


def endpoint_at(
    addresses: Iterable[str], *, name: str, served_model: str = "", origin: str
) -> Endpoint:
    """Return the endpoint of the arm `name` at base URLs that serve one and the same model.

    `origin`: where they were written, for messages.

    Raises:
        UsageError: the name or an address is none; the message names it and the remedy.
    """
    _check_name(origin, name)
    url, *others = dict.fromkeys(_base_url(origin, name, each) for each in addresses)
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


def _check_name(origin: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{origin}: the name {_shown(name)!r} may have only letters, digits and . _ - (64 "
            "at most); what the server calls the model goes behind a #: NAME=URL#MODEL."
        )


def is_base_url(text: str) -> bool:
    """Return whether a server can be asked at `text`."""
    try:
        return _has_base(urlsplit(text))
    except ValueError:
        return False


def _has_base(parts: SplitResult) -> bool:
    """Return whether a URL has a scheme and a host that can be asked; ValueError: no such port."""
    has_address = bool(parts.hostname) and parts.port != 0
    return has_address and parts.scheme in {"http", "https"}


def _base_url(origin: str, name: str, address: str) -> str:
    try:
        parts = urlsplit(address)
        has_base = _has_base(parts)
    except ValueError as error:
        why = "" if "@" in address else f": {error}"  # which may repeat a password
        raise UsageError(f"{origin}: {_shown(address)!r} is no URL{why}.") from error
    if not has_base or re.search(r"\s", address):
        raise UsageError(
            f"{origin}: {_shown(address)!r} is no base URL; it begins with http:// or https:// "
            "and a host, and usually ends in /v1."
        )
    _check_extras(name, parts)
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def _check_extras(name: str, parts: SplitResult) -> None:
    """The message does not repeat the text: it may hold a secret."""
    if "@" in parts.netloc:
        raise UsageError(
            f"endpoint {name!r} at {parts.hostname}: a name or password in the URL would be stored "
            f"and shown; put the key into {DEFAULT_KEY_VARIABLE} instead."
        )
    if parts.query:
        raise UsageError(
            f"endpoint {name!r} at {parts.hostname}: a base URL has no ?query; leave it out, and "
            f"put a key into {DEFAULT_KEY_VARIABLE}."
        )
    if parts.fragment:
        raise UsageError(
            f"endpoint {name!r} at {parts.hostname}: a base URL has no #; in a file, what the "
            "server calls the model is the field model."
        )


def _shown(text: str) -> str:
    """Return `text` without what may be a secret in a URL: a name or password, a query."""
    bare = re.sub(r"^(https?://)?.*@", r"\1...@", text, flags=re.DOTALL)
    return re.sub(r"\?[^#]*", "?...", bare)
