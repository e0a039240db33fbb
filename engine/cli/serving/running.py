"""Servers that a `serve` keeps already, used when they serve what is wanted."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from engine.chat.discovery import resolve
from engine.cli.access import access_of
from engine.cli.serving import Serving, Weights
from engine.endpoint import Endpoint
from engine.settings import read_settings
from servers.embedded.model import TINY_KEYS
from servers.kept import Kept, KeptModel, read_kept
from servers.model import Precision
from servers.presets import resolve as resolve_model


def kept_dir() -> Path:
    """Return where every `serve` of this user writes its file."""
    return read_settings().cache_dir / "serving"


def find_kept(
    names: Sequence[str], precision: Precision | None
) -> tuple[tuple[Kept, KeptModel], ...]:
    """Return who serves the models of these names, in their order; nothing if one is missing.

    Raises:
        UsageError, NotReadyError: a name is no model's, or cannot be looked up now.
    """
    served = {
        model.endpoint.model: (kept, model)
        for kept in read_kept(kept_dir())
        for model in kept.served
    }
    if not served:
        return ()
    found = [served.get(key) for key in map(_key, names)]
    is_wanted = [
        one is not None and _is_of(one[1], name, precision)
        for name, one in zip(names, found, strict=True)
    ]
    return tuple(one for one in found if one) if all(is_wanted) else ()


def _key(name: str) -> str:
    return name if name in TINY_KEYS else resolve_model(name).key


def _is_of(model: KeptModel, name: str, precision: Precision | None) -> bool:
    """Return whether what is served are weights of `name`, at `precision` if that is asked."""
    if name in TINY_KEYS:
        return model.quantization is None
    repos = {variant.repo for variant in resolve_model(name).variants}
    return model.repo in repos and precision in {None, model.quantization}


def kept_serving(models: Sequence[tuple[Kept, KeptModel]]) -> Serving:
    """Return the serving by servers that run already; they are left running."""
    endpoints = [model.endpoint for _, model in models]
    places = ", ".join(f"{endpoint.model} at {endpoint.url}" for endpoint in endpoints)

    @asynccontextmanager
    async def opened(_log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        yield tuple([await _found(endpoint) for endpoint in endpoints])

    return Serving(
        kind=models[0][0].kind,
        reason=f"using the servers that `serve` keeps: {places}.",
        models=tuple(endpoint.model for endpoint in endpoints),
        open=opened,
        weights={
            model.endpoint.model: Weights(
                name=model.name, repo=model.repo, quantization=model.quantization
            )
            for _, model in models
        },
    )


async def _found(endpoint: Endpoint) -> Endpoint:
    """Ask the server what it serves; what only its `serve` knew of the weights is kept."""
    found = await resolve(endpoint, access=access_of(endpoint))
    known = {"checkpoint": endpoint.checkpoint, "quantization": endpoint.quantization}
    return msgspec.structs.replace(found, **known)
