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
from servers.launch.register import find_running
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

    A server that runs already in just this way is used, and left running. `state_dir` holds the
    records of running servers and of measured starts. `port`: where a single server is to answer,
    whoever runs already; None: a free one for each.

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
        self._register = state_dir / "running"
        self._measured = state_dir / "starts.jsonl"
        self._tell = tell
        self._patience = patience
        self._starter = Starter(log_dir=log_dir, patience=patience, tell=tell)

    async def serve(self, start: ServerStart, port: int | None = None) -> Endpoint:
        """Use the server that runs already, or start one and keep it."""
        found = await asyncio.to_thread(find_running, self._register, start) if not port else None
        if found is not None:
            self._tell(Progress(model=start.model, state="reused", elapsed_s=0.0))
            return _endpoint(start, found.port, found.max_model_len)
        running = await self._starter.start(start, port=port)
        self._keep(start, running)
        remember(self._measured, running)
        return _endpoint(start, running.port, running.start.max_model_len)

    def _keep(self, asked: ServerStart, running: Running) -> None:
        self.kept.append(
            KeptServer(
                asked,
                running,
                starter=self._starter,
                register=self._register,
                patience=self._patience,
                tell=self._tell,
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
