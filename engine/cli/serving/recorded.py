"""The weights that a run has read, where its models are served here once more."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from engine.cli.serving import Serving
from engine.cli.weights import open_weights
from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from engine.introspection.checkpoint import is_same
from engine.manifest import Arm


def with_recorded_weights(serving: Serving, arms: Iterable[Arm], named: Sequence[str]) -> Serving:
    """Return `serving` with the weights of `arms` for models that are served here.

    What `named` says, as --checkpoint takes it, counts more.
    """
    told = {text.partition("=")[0] for text in named}
    recorded = {arm.model: arm for arm in arms if told.isdisjoint({arm.model, arm.twin_of})}

    @asynccontextmanager
    async def opened(log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        async with serving.open(log_dir) as endpoints:
            yield tuple([await _found(each, recorded.get(each.model)) for each in endpoints])

    return replace(serving, open=opened)


async def _found(endpoint: Endpoint, arm: Arm | None) -> Endpoint:
    if arm is None or arm.is_given or arm.checkpoint in {None, endpoint.checkpoint}:
        return endpoint
    if await asyncio.to_thread(_are_those_of, arm, endpoint.checkpoint):
        return endpoint
    return msgspec.structs.replace(endpoint, checkpoint=arm.checkpoint)


def _are_those_of(arm: Arm, place: str | None) -> bool:
    """Return whether a model's own weights are the recorded ones: these may be out of reach."""
    try:
        return place is not None and is_same(
            open_weights(place).fingerprint, arm.checkpoint_fingerprint
        )
    except NotReadyError:
        return False
