"""Endpoints that the user names, by flags and in a configuration file."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import msgspec

from engine.chat.discovery import resolve
from engine.cli.access import access_of, check_key
from engine.cli.console import say
from engine.cli.options import Options
from engine.cli.serving import Serving, checkpoints_of, pick
from engine.cli.serving.configured import read_endpoints
from engine.endpoint import Endpoint, check_distinct, is_own, parse_endpoint
from engine.errors import EngineError


def given(endpoints: Sequence[Endpoint], wanted: Sequence[str]) -> Serving:
    """Return the serving of the `wanted` models by `endpoints`, of all when none is named.

    Raises:
        UsageError: a model is served by none of them.
    """
    named = {endpoint.model: endpoint for endpoint in endpoints}
    models = tuple(pick(name, tuple(named), "--model") for name in wanted) or tuple(named)
    chosen = [named[model] for model in models]
    places = ", ".join(f"{endpoint.model} at {endpoint.url}" for endpoint in chosen)

    @asynccontextmanager
    async def opened(_log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        for endpoint in chosen:
            check_key(endpoint)
            _warn(endpoint)
        yield await resolve_all(chosen)

    return Serving(
        kind="endpoint",
        reason=f"using the endpoints given: {places}.",
        models=models,
        given={endpoint.model: endpoint for endpoint in chosen},
        open=opened,
    )


def endpoints_of(options: Options, recorded: Iterable[Endpoint] = ()) -> tuple[Endpoint, ...]:
    """Return the endpoints that `options` name: those of the file, and those of flags.

    Where both name one, the address is the flag's, and all else is as the file says. So it is
    with those that are `recorded` of a run that is taken up again.

    Raises:
        UsageError: an endpoint or a checkpoint is wrong; the remedy is named.
    """
    known = {endpoint.model: endpoint for endpoint in recorded}
    if options.config:
        known |= {endpoint.model: endpoint for endpoint in read_endpoints(options.config)}
    flags = [parse_endpoint(text) for text in options.endpoint]
    check_distinct(flags)
    known |= {flag.model: _at(known.get(flag.model, flag), flag) for flag in flags}
    checkpoints = checkpoints_of(options.checkpoint, tuple(known)) if known else {}
    return tuple(
        msgspec.structs.replace(each, checkpoint=checkpoints.get(each.model, each.checkpoint))
        for each in known.values()
    )


def variables_of(endpoints: Sequence[Endpoint]) -> frozenset[str]:
    """Return the names of the variables that open the way to `endpoints`."""
    headers = [text for each in endpoints for text in each.headers.values()]
    in_headers = {name for text in headers for name in Template(text).get_identifiers()}
    return frozenset({each.key_variable for each in endpoints} | in_headers)


async def resolve_all(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Ask all `endpoints` at the same time what they serve.

    Raises:
        NotReadyError, UsageError: the first of them that is not ready says why.
    """
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(resolved(endpoint)) for endpoint in endpoints]
    found = [task.result() for task in asking]
    for each in found:
        if isinstance(each, EngineError):
            raise each
    return tuple(each for each in found if isinstance(each, Endpoint))


async def resolved(endpoint: Endpoint) -> Endpoint | EngineError:
    """Return `endpoint` with what it serves, or why it is not ready."""
    try:
        return await resolve(endpoint, access=access_of(endpoint))
    except EngineError as error:
        return error


def _at(known: Endpoint, flag: Endpoint) -> Endpoint:
    has_model = flag.served_model != flag.model
    return msgspec.structs.replace(
        known,
        url=flag.url,
        others=flag.others,
        served_model=flag.served_model if has_model else known.served_model,
    )


def _warn(endpoint: Endpoint) -> None:
    """Say what is unsafe about the way to an endpoint."""
    parts = urlsplit(endpoint.url)
    if not endpoint.is_tls_verified:
        say(
            f"WARNING: endpoint {endpoint.model!r}: verify_tls is false, so nobody knows who "
            "answers there: whoever is in between can read the key and change every reply. "
            "Better: name the authority's certificate by ca_file."
        )
    elif parts.scheme == "http" and not is_own(parts.hostname or "") and access_of(endpoint).key:
        say(
            f"WARNING: endpoint {endpoint.model!r}: the key is sent over plain http:// to "
            f"{parts.hostname}, where everybody on the way can read it."
        )
