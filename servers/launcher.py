"""Starts a set of vLLM servers, keeps them alive, and leaves nothing behind.

One after another, in the order given (the plan puts the largest first): servers that start together
on one card mis-measure each other. Each has its own session, log file and free port on loopback.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from engine.endpoint import Endpoint
from servers.launch.measured import remember
from servers.launch.starting import HOST, Running, Starter
from servers.launch.values import Patience, Progress, ServerStart, Tell
from servers.launch.watching import KeptServer

KEY_VARIABLE = "VLLM_API_KEY"


@asynccontextmanager
async def launch(
    starts: Sequence[ServerStart],
    *,
    log_dir: Path,
    state_dir: Path,
    tell: Tell,
    patience: Patience | None = None,
    port: int | None = None,
) -> AsyncGenerator[tuple[Endpoint, ...]]:
    """Start servers, yield their endpoints in the same order, and end them.

    `state_dir` holds what earlier starts took. `port`: where a single server is to answer; None: a
    free one for each.

    Raises:
        NotReadyError: a server did not become ready; those started before it have been ended.
    """
    fleet = _Fleet(log_dir=log_dir, state_dir=state_dir, tell=tell, patience=patience or Patience())
    try:
        endpoints = tuple([await fleet.serve(start, port) for start in starts])
        async with _watched(fleet.kept):
            yield endpoints
    finally:
        await _stop(fleet.kept)


class _Fleet:
    """The servers of one launch, as they come."""

    def __init__(self, *, log_dir: Path, state_dir: Path, tell: Tell, patience: Patience) -> None:
        self.kept: list[KeptServer] = []
        self._measured = state_dir / "starts.jsonl"
        self._tell = tell
        self._patience = patience
        self._starter = Starter(log_dir=log_dir, patience=patience, tell=tell)

    async def serve(self, start: ServerStart, port: int | None = None) -> Endpoint:
        """Start a server, keep it, and remember what its start took."""
        running = await self._starter.start(start, port=port)
        self.kept.append(
            KeptServer(running, starter=self._starter, patience=self._patience, tell=self._tell)
        )
        self._remember(running)
        return _endpoint(start, running.port, running.start.max_model_len)

    def _remember(self, running: Running) -> None:
        """Only a later plan needs it: a server that is ready stays, whatever the disk says."""
        try:
            remember(self._measured, running)
        except OSError as error:
            detail = f"its start cannot be remembered in {self._measured} ({error.strerror})"
            self._tell(
                Progress(
                    model=running.start.model,
                    state="ready",
                    elapsed_s=running.start_s,
                    detail=detail,
                )
            )


@asynccontextmanager
async def _watched(kept: Sequence[KeptServer]) -> AsyncGenerator[None]:
    """Watch the servers while the body runs; its error leaves as it is, not in a group."""
    body_error: Exception | None = None
    async with asyncio.TaskGroup() as group:
        watchers = [group.create_task(server.watch()) for server in kept]
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group
            body_error = error
        finally:
            for watcher in watchers:
                watcher.cancel()
    if body_error is not None:
        raise body_error


async def _stop(kept: Sequence[KeptServer]) -> None:
    async with asyncio.TaskGroup() as group:
        for server in kept:
            group.create_task(server.stop())


def _endpoint(start: ServerStart, port: int, max_model_len: int | None) -> Endpoint:
    return Endpoint(
        model=start.model,
        url=f"http://{HOST}:{port}/v1",
        served_model=start.model,
        key_variable=KEY_VARIABLE,
        checkpoint=start.checkpoint,
        max_model_len=max_model_len,
    )
