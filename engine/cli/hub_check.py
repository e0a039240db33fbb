"""Whether the hub answers and what it would give to this user, and whether there is room for it."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from http import HTTPStatus
from importlib import import_module
from pathlib import Path

import aiohttp

from engine.cli.checks import nearest_there
from engine.cli.compare import names_in
from engine.cli.options import Options
from engine.cli.planning import DEFAULT_MODELS, Wanted, ask, find_hardware
from engine.cli.serving.given import endpoints_of
from engine.errors import NotReadyError, UsageError
from engine.settings import read_key, read_settings
from servers.embedded.model import TINY_KEYS
from servers.fit import LaunchPlan
from servers.fit.text import gib
from servers.model import ModelPreset
from servers.presets import PRESETS

_WITHIN_S = 4.0
_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


async def hub() -> str:
    """Return which presets the hub would give to this user. Being offline is no fault."""
    presets = tuple(PRESETS.values())
    try:
        async with asyncio.timeout(_WITHIN_S), _client() as client:
            statuses = await _statuses(client, presets)
    except (TimeoutError, aiohttp.ClientError, OSError):
        return (
            f"not reached within {_WITHIN_S:g} s; the models that ship, and those that were "
            "fetched before, run without it"
        )
    given = [preset.key for preset, status in statuses if status not in _REFUSED]
    refused = [preset.key for preset, status in statuses if status in _REFUSED]
    token = "HF_TOKEN is set" if read_key("HF_TOKEN") else "HF_TOKEN is not set"
    locked = (
        f"; gated, and not granted to you: {', '.join(refused)} ({token}): accept the licence on "
        "the model's page and set HF_TOKEN"
    )
    return f"answers; open to you: {', '.join(given)}{locked if refused else ''}"


def room(models: str, options: Options) -> str:
    """Return whether the weights of the main job have room on disk.

    Raises:
        NotReadyError: they have not.
    """
    folder, needed = read_settings().hub_cache, _weights_bytes(models, options)
    nearest = nearest_there(folder)
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        if not needed:
            return f"no weights can be kept in {folder}; the main job fetches none"
        raise NotReadyError(
            f"no weights can be kept in {folder}. Point HF_HOME at a directory that you can write."
        )
    free = shutil.disk_usage(nearest).free
    if free < needed:
        raise NotReadyError(
            f"the weights of the main job take {gib(needed)}, and {folder} has {gib(free)} free. "
            "Free some, or point HF_HOME at a larger disk."
        )
    wanted = f"; the main job wants {gib(needed)}" if needed else ""
    return f"{gib(free)} free for weights in {folder}{wanted}"


def _weights_bytes(models: str, options: Options) -> int:
    """Return what the main job would fetch; nothing for endpoints and for models that ship."""
    names = _fetched(models, options)
    if not names or not find_hardware(options.hardware).gpus:
        return 0
    found = ask(
        Wanted(models=",".join(names), hardware=options.hardware, quantization=options.quantization)
    )
    servers = found.servers if isinstance(found, LaunchPlan) else ()
    return sum(one.weights_bytes for one in servers if not Path(one.repo).exists())


def _fetched(models: str, options: Options) -> list[str]:
    """Return the models whose weights the main job would need, where a GPU is to serve them."""
    try:
        there = [endpoint.model for endpoint in endpoints_of(options)]
    except UsageError:  # they are looked at by themselves
        return []
    default = () if there else DEFAULT_MODELS
    wanted = dict.fromkeys(names_in(models) or default)
    return [name for name in wanted if name not in there and name not in TINY_KEYS]


def _client() -> aiohttp.ClientSession:
    token = read_key("HF_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return aiohttp.ClientSession(headers=headers, trust_env=True)


async def _statuses(
    client: aiohttp.ClientSession, presets: Sequence[ModelPreset]
) -> list[tuple[ModelPreset, int]]:
    """Ask for a small file of every preset: that is what a gate keeps back."""
    at = import_module("huggingface_hub.constants").ENDPOINT

    async def status(preset: ModelPreset) -> int:
        url = f"{at}/{preset.repo}/resolve/main/config.json"
        async with client.head(url, allow_redirects=False) as answer:
            return answer.status

    try:
        async with asyncio.TaskGroup() as group:
            asking = [(preset, group.create_task(status(preset))) for preset in presets]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [(preset, task.result()) for preset, task in asking]
