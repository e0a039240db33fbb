"""Whether the hub answers, and what it would give to this user."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from importlib import import_module

import aiohttp

from engine.settings import read_key
from servers.model import ModelPreset
from servers.presets import PRESETS

_WITHIN_S = 4.0
_WITHOUT = "; the models that ship, and those that were fetched before, run without it"
_REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


async def hub() -> str:
    """Return which presets the hub would give to this user. Being offline is no fault."""
    presets = tuple(PRESETS.values())
    try:
        async with asyncio.timeout(_WITHIN_S), _client() as client:
            statuses = await _statuses(client, presets)
    except TimeoutError:
        return f"not reached within {_WITHIN_S:g} s{_WITHOUT}"
    except (aiohttp.ClientError, OSError) as error:
        return f"not reached ({error}){_WITHOUT}"
    given = [preset.key for preset, status in statuses if status not in _REFUSED]
    refused = [preset.key for preset, status in statuses if status in _REFUSED]
    token = "HF_TOKEN is set" if read_key("HF_TOKEN") else "HF_TOKEN is not set"
    locked = (
        f"; gated, and not granted to you: {', '.join(refused)} ({token}): accept the licence on "
        "the model's page and set HF_TOKEN"
    )
    return f"answers; open to you: {', '.join(given)}{locked if refused else ''}"


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
