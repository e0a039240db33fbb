"""Endpoints in a configuration file: how they are reached and what they cost.

[endpoints.7b]
url = "https://lab.example/v1"            # or urls = [...]: replicas of one model
model = "Qwen/Qwen2.5-7B-Instruct"        # what the server calls it; else the name of the arm
key_env = "LAB_KEY"                       # variable with the key; else OPENAI_API_KEY
headers = { X-Team = "interpretability", X-Gateway-Key = "$GATEWAY_KEY" }
ca_file = "lab-ca.pem"                    # beside this file
verify_tls = true
proxy = "http://proxy.example:3128"       # "" for none; else what the environment says
requests_per_s = 5
checkpoint = "weights/7b"
prices = { prompt = 0.2, cached = 0.1, completion = 0.6, currency = "USD" } # a million tokens
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from string import Template
from typing import Annotated

import msgspec

from engine.endpoint import DEFAULT_KEY_VARIABLE, Endpoint, Prices, endpoint_at, is_base_url
from engine.errors import UsageError
from engine.settings import read_endpoint_tables

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"authori[sz]ation|key|token|secret|cookie|password|credential", re.IGNORECASE)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2: a token."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str | None = None
    urls: tuple[str, ...] = ()
    model: str = ""
    key_env: str = DEFAULT_KEY_VARIABLE
    headers: dict[str, str] = {}
    ca_file: str | None = None
    verify_tls: bool = True
    proxy: str | None = None
    requests_per_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    checkpoint: str | None = None
    prices: Prices | None = None
    system_role: bool = True


def read_endpoints(path: Path) -> tuple[Endpoint, ...]:
    """Return the endpoints of a configuration file, in its order.

    Raises:
        UsageError: the file or a field is wrong; file, endpoint and field are named.
    """
    return tuple(_endpoint(name, table, path) for name, table in read_endpoint_tables(path).items())


def _endpoint(name: str, values: object, path: Path) -> Endpoint:
    origin = f"--config {path}: endpoints.{name}"
    table = _converted(values, origin)
    addresses = (*((table.url,) if table.url is not None else ()), *table.urls)
    if not addresses:
        raise UsageError(f'{origin}: has no url; add one, e.g. url = "https://host/v1".')
    if not _VARIABLE.fullmatch(table.key_env):
        raise UsageError(
            f"{origin}: key_env is the name of a variable that holds the key, such as LAB_KEY; the "
            "key itself does not belong into a file."
        )
    _check_headers(table.headers, origin)
    _check_proxy(table.proxy, origin)
    return msgspec.structs.replace(
        endpoint_at(addresses, name=name, served_model=table.model, origin=origin),
        key_variable=table.key_env,
        headers=table.headers,
        ca_file=_beside(path, table.ca_file),
        is_tls_verified=table.verify_tls,
        proxy=table.proxy,
        requests_per_s=table.requests_per_s,
        checkpoint=_weights(path, table.checkpoint),
        prices=table.prices,
        has_system_role=table.system_role,
    )


def _converted(values: object, origin: str) -> _Table:
    try:
        _check_fields(msgspec.convert(values, dict[str, object]), origin)
        return msgspec.convert(values, _Table)
    except msgspec.ValidationError as error:
        raise UsageError(f"{origin}: {error}") from error


def _check_fields(values: Iterable[str], origin: str) -> None:
    known = _Table.__struct_fields__
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{origin}: no field is called {name!r}.{hint} {_listed(known)}")


def _listed(known: Iterable[str]) -> str:
    return f"There are: {', '.join(known)}."


def _check_headers(headers: dict[str, str], origin: str) -> None:
    for name, value in headers.items():
        field = f"{origin}: headers.{name}"
        template = Template(value)
        if not _HEADER.fullmatch(name):
            raise UsageError(f"{field}: is no name that a header may have.")
        if not template.is_valid():
            raise UsageError(f"{field}: a $ begins the name of a variable; write $$ for the sign.")
        if _SECRET.search(name) and not template.get_identifiers():
            raise UsageError(
                f"{field}: looks like a secret, which does not belong into a file. Put it into a "
                'variable and name that, e.g. "$GATEWAY_KEY".'
            )


def _check_proxy(proxy: str | None, origin: str) -> None:
    if not proxy:
        return
    if "@" in proxy:
        raise UsageError(
            f"{origin}: proxy has a name or password in its URL, which would be stored and shown. "
            "Leave proxy out, and put that URL into the variable HTTPS_PROXY."
        )
    if not is_base_url(proxy):
        raise UsageError(f"{origin}: proxy {proxy!r} is no URL, e.g. http://proxy.example:3128.")


def _beside(path: Path, name: str | None) -> str | None:
    return str((path.parent / Path(name).expanduser()).resolve()) if name else None


def _weights(path: Path, name: str | None) -> str | None:
    """Return the directory beside the file, where it is one or cannot be looked at; else `name`."""
    found = _beside(path, name)
    try:
        return found if found and Path(found).is_dir() else name
    except OSError:  # whoever opens it says why
        return found
