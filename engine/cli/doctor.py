"""`doctor`: one page about this machine, and whether the bare command would run on it."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from rich.table import Table

from engine.cli import checks, disk_check, hub_check
from engine.cli.compare import names_in
from engine.cli.console import emit_json, emit_table, say
from engine.cli.exit_codes import DONE, NOT_READY
from engine.cli.options import Options
from engine.cli.serving.given import endpoints_of
from engine.errors import EngineError

Check = Callable[[], str | Awaitable[str]]


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at: is it ready, and what was seen or has to be done."""

    subject: str
    is_ready: bool
    detail: str
    is_needed: bool = True
    """The main job would not run without it."""


def doctor(*, models: str = "", options: Options | None = None) -> int:
    """Say what the bare command would do here, and whether it is ready.

    Looks at Python and packages, GPU, driver and vLLM, disk, hub, sandbox, endpoints (with
    --endpoint or --config), and starts what the main job would start. Exit code 3 when it would
    not run.

    Parameters
    ----------
    models
        A,B: names of the models that would be compared. Default: all that are there.
    """
    options = options or Options()
    found = asyncio.run(_examine(models, options))
    is_ready = all(item.is_ready for item in found if item.is_needed)
    if options.as_json:
        emit_json({"is_ready": is_ready, "findings": found})
    else:
        emit_table(_table(found))
        say("ready: run it without a command." if is_ready else "not ready: see the lines above.")
    return DONE if is_ready else NOT_READY


async def _examine(models: str, options: Options) -> list[Finding]:
    """Look at everything; what can wait for others is asked at the same time."""
    async with asyncio.TaskGroup() as group:
        hub = group.create_task(_finding("hub", hub_check.hub, is_needed=False))
        first = [
            await _finding("python", checks.python),
            await _finding("packages", checks.packages),
            await _finding("gpu", lambda: checks.gpu(options), is_needed=False),
            await _finding("vllm", lambda: checks.vllm(options), is_needed=False),
            await _finding("disk", lambda: disk_check.room(models, options)),
        ]
        rest = [
            await _finding("run directory", lambda: checks.directory(options)),
            await _finding("sandbox", lambda: checks.sandbox(options)),
            *await _endpoints(models, options),
            await _finding("main job", lambda: checks.main_job(models, options)),
        ]
    return [*first, hub.result(), *rest]


async def _endpoints(models: str, options: Options) -> list[Finding]:
    """Ask every endpoint that there is; those that are not among the `models` are not needed."""
    wanted = names_in(models)
    try:
        there = [endpoint.model for endpoint in endpoints_of(options)]
    except EngineError as error:
        return [Finding("endpoints", is_ready=False, detail=str(error))]
    async with asyncio.TaskGroup() as group:
        asking = [
            group.create_task(
                _finding(
                    f"endpoint {model}",
                    _asking(options, model),
                    is_needed=not wanted or model in wanted,
                )
            )
            for model in there
        ]
    return [task.result() for task in asking]


def _asking(options: Options, model: str) -> Check:
    return lambda: checks.endpoint(options, model)


async def _finding(subject: str, check: Check, *, is_needed: bool = True) -> Finding:
    try:
        seen = check()
        detail = seen if isinstance(seen, str) else await seen
        return Finding(subject, is_ready=True, detail=detail, is_needed=is_needed)
    except EngineError as error:
        return Finding(subject, is_ready=False, detail=str(error), is_needed=is_needed)


def _table(found: list[Finding]) -> Table:
    table = Table("", "", "", box=None, pad_edge=False, show_header=False)
    for item in found:
        bad = "NOT READY" if item.is_needed else "not there"
        table.add_row(item.subject, "ready" if item.is_ready else bad, item.detail)
    return table
