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
from servers.launch.register import Record, find_running
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
) -> AsyncGenerator[tuple[Endpoint, ...]]:
    """Start servers, yield their endpoints in the same order, and end them.

    A server that runs already in just this way is used, and left running. `state_dir` holds the
    records of running servers and of measured starts.

    Raises:
        NotReadyError: a server did not become ready; those started before it have been ended.
    """
    patience = patience or Patience()
    starter = Starter(log_dir=log_dir, patience=patience, tell=tell)
    kept: list[KeptServer] = []
    endpoints: list[Endpoint] = []
    try:
        for start in starts:
            found = await asyncio.to_thread(find_running, _register(state_dir), start)
            if found is not None:
                tell(Progress(model=start.model, state="reused", elapsed_s=0.0))
                endpoints.append(_found_endpoint(start, found))
                continue
            running = await starter.start(start)
            kept.append(
                KeptServer(
                    start,
                    running,
                    starter=starter,
                    register=_register(state_dir),
                    patience=patience,
                    tell=tell,
                )
            )
            remember(state_dir / "starts.jsonl", running)
            endpoints.append(_endpoint(running))
        async with _watched(kept):
            yield tuple(endpoints)
    finally:
        await _stop(kept)


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


def _register(state_dir: Path) -> Path:
    return state_dir / "running"


def _endpoint(running: Running) -> Endpoint:
    return _endpoint_of(running.start, running.port, running.start.max_model_len)


def _found_endpoint(start: ServerStart, found: Record) -> Endpoint:
    return _endpoint_of(start, found.port, found.max_model_len)


def _endpoint_of(start: ServerStart, port: int, max_model_len: int | None) -> Endpoint:
    return Endpoint(
        model=start.model,
        url=f"http://{HOST}:{port}/v1",
        served_model=start.model,
        key_variable=KEY_VARIABLE,
        checkpoint=start.checkpoint,
        max_model_len=max_model_len,
    )
