"""Lets a vLLM server sleep and wakes it: asleep, its weights wait in RAM and its cache is dropped.

Needs --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1. Source: serving-gpu.md section 3.
"""

import asyncio
from urllib.parse import urlsplit

from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from servers.launch.readiness import NoAnswerError, post

WITHIN_S = 120.0
"""Longest change: tens of gigabytes move between card and RAM."""


class Sleeper:
    """Asks servers to sleep and to wake."""

    def __init__(self, key: str | None) -> None:
        """Use `key` where the servers want one."""
        self._key = key

    async def sleep(self, endpoint: Endpoint) -> None:
        """Let the server give its memory back.

        Raises:
            NotReadyError: it does not.
        """
        await self._ask(endpoint, "/sleep?level=1")

    async def wake(self, endpoint: Endpoint) -> None:
        """Let the server answer again.

        Raises:
            NotReadyError: it does not.
        """
        await self._ask(endpoint, "/wake_up")

    async def _ask(self, endpoint: Endpoint, path: str) -> None:
        port = urlsplit(endpoint.url).port or 0
        try:
            await asyncio.to_thread(post, port, path, key=self._key, within_s=WITHIN_S)
        except NoAnswerError as error:
            raise NotReadyError(f"the server of {endpoint.model}: {path}: {error}") from error
