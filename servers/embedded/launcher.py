"""Starts one llama.cpp server per model, watches them, and leaves nothing behind.

A seed repeats a reply to the same conversation, but not always to the last token: how much of the
prompt came from a slot's cache changes the rounding, and with it, now and then, a drawn token.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from servers.command import without_secrets
from servers.embedded.model import EmbeddedModel, check_model
from servers.embedded.process import ChildServer, child_server

DEFAULT_SLOTS = 32
"""Replies that one server writes at once; more requests wait in its queue, without limit."""

START_S = 600.0
"""Longest start: a large file has to be read from a disk; a tiny model takes less than a second."""

_PROGRAM = Path(__file__).with_name("serve.py")
_LOG_LINES = 12

OnDeath = Callable[[str, str], None]
"""Called with the key of the model and a sentence, when its server ends during use."""


class _Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for every server of one `serve`."""

    log_dir: Path
    n_slots: int
    start_s: float
    on_death: OnDeath | None
    port: int
    """0: the kernel chooses."""
    environment: Mapping[str, str]
    """The whole environment of a server's process."""


@asynccontextmanager
async def serve(  # noqa: PLR0913 - each by its name, and what few callers say has a default
    models: Sequence[EmbeddedModel],
    *,
    log_dir: Path,
    n_slots: int = DEFAULT_SLOTS,
    start_s: float = START_S,
    on_death: OnDeath | None = None,
    port: int | None = None,
    inherited: Mapping[str, str] | None = None,
) -> AsyncGenerator[tuple[Endpoint, ...]]:
    """Serve all `models`, each in a process of its own, and yield where they answer, in order.

    Ready means: the process lives, /health answers, and a completion of one token was written.
    Every log goes to `log_dir`/<key>.log. `start_s` is the time that a server has to become ready.
    `port`: where a single server is to answer; None: a free one for each.
    `inherited`: the environment that servers get, secrets left out; None: an empty one.
    On every exit, the parent's violent death included, the processes end.

    Raises:
        NotReadyError: a file is damaged, a log cannot be written, or a server did not become ready;
            has the end of its log.
    """
    launch = _Launch(
        log_dir=log_dir,
        n_slots=n_slots,
        start_s=start_s,
        on_death=on_death,
        port=port or 0,
        environment=without_secrets(inherited or {}),
    )
    async with AsyncExitStack() as servers:
        started = await _start_all(models, launch=launch, servers=servers)
        yield tuple(started)


async def _start_all(
    models: Sequence[EmbeddedModel], *, launch: _Launch, servers: AsyncExitStack
) -> list[Endpoint]:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(servers.enter_async_context(_served(model, launch=launch)))
                for model in models
            ]
    except ExceptionGroup as failures:
        # The first failure cancels its siblings; it is the one to tell.
        raise failures.exceptions[0] from failures.exceptions[0].__cause__
    return [task.result() for task in tasks]


@asynccontextmanager
async def _served(model: EmbeddedModel, *, launch: _Launch) -> AsyncGenerator[Endpoint]:
    check_model(model)
    log = launch.log_dir / f"{model.key}.log"
    command = _command(model, launch=launch)
    async with child_server(command, launch.environment, log=log) as child:
        url = await _ready_url(model, child, log=log, start_s=launch.start_s)
        child.watch(lambda: _tell_death(model, child, log=log, on_death=launch.on_death))
        yield _endpoint(model, url=url)


def _command(model: EmbeddedModel, *, launch: _Launch) -> list[str]:
    options = {
        "--gguf": str(model.gguf),
        "--name": model.key,
        "--slots": str(model.n_slots or launch.n_slots),
        "--window-tokens": str(model.window_tokens),
        "--threads": str(model.n_threads),
        "--parent": str(os.getpid()),
        "--port": str(launch.port),
    }
    # -P keeps the folder of the program, with its module names, out of the import path.
    return [
        sys.executable,
        "-P",
        str(_PROGRAM),
        *(word for pair in options.items() for word in pair),
    ]


def _endpoint(model: EmbeddedModel, *, url: str) -> Endpoint:
    return Endpoint(
        model=model.key,
        url=f"{url}/v1",
        served_model=model.key,
        checkpoint=model.checkpoint,
        max_model_len=model.window_tokens,
    )


async def _ready_url(model: EmbeddedModel, child: ChildServer, *, log: Path, start_s: float) -> str:
    """Return the base URL as soon as the server answers there."""
    try:
        async with asyncio.timeout(start_s):
            url = await child.report()
            if url is not None and await _answers(url, model):
                return url
        why = child.how_it_ended
    except TimeoutError:
        why = f"it was not ready after {start_s:g} s"
    msg = (
        f"The embedded server of the model {model.key!r} ({str(model.gguf)!r}) did not start: "
        f"{why}. The end of its log {str(log)!r}:\n{_tail(log)}"
    )
    raise NotReadyError(msg)


async def _answers(url: str, model: EmbeddedModel) -> bool:
    """Whether the server is healthy and writes a token; its log says why if not."""
    import aiohttp

    question = {"model": model.key, "max_tokens": 1, "messages": [{"role": "user", "content": "?"}]}
    try:
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{url}/health") as health:
                is_healthy = health.ok
            async with client.post(f"{url}/v1/chat/completions", json=question) as completion:
                return is_healthy and completion.ok
    except aiohttp.ClientError:
        return False


def _tell_death(
    model: EmbeddedModel, child: ChildServer, *, log: Path, on_death: OnDeath | None
) -> None:
    if on_death:
        on_death(
            model.key,
            f"The embedded server of the model {model.key!r} is gone: {child.how_it_ended}. "
            f"The end of its log {str(log)!r}:\n{_tail(log)}",
        )


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES:]) or "(empty)"
