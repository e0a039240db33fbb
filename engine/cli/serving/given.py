"""Endpoints that the user names."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from engine.chat.discovery import resolve
from engine.cli.options import Options
from engine.cli.serving import Serving, checkpoints_of, pick
from engine.endpoint import Endpoint, check_distinct, parse_endpoint
from engine.settings import read_key


def given(options: Options, wanted: Sequence[str]) -> Serving:
    """Return the serving by the endpoints of `options`.

    Raises:
        UsageError: an endpoint, a checkpoint or a name is wrong; the remedy is named.
    """
    named = _endpoints(options)
    models = tuple(pick(name, tuple(named), "--model") for name in wanted) or tuple(named)
    endpoints = [named[model] for model in models]
    places = ", ".join(f"{endpoint.model} at {endpoint.url}" for endpoint in endpoints)

    @asynccontextmanager
    async def opened(_log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        yield tuple([await resolve(item, key=read_key(item.key_variable)) for item in endpoints])

    return Serving(
        kind="endpoint", reason=f"using the endpoints given: {places}.", models=models, open=opened
    )


def _endpoints(options: Options) -> dict[str, Endpoint]:
    parsed = [parse_endpoint(text) for text in options.endpoint]
    check_distinct(parsed)
    checkpoints = checkpoints_of(options.checkpoint, [endpoint.model for endpoint in parsed])
    return {
        endpoint.model: msgspec.structs.replace(
            endpoint, checkpoint=checkpoints.get(endpoint.model)
        )
        for endpoint in parsed
    }
