"""`doctor`: what the bare command would do here, and whether it is ready."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path

import msgspec
from rich.table import Table

from engine.cli.compare import MAIN_PHASE, plan_comparison
from engine.cli.console import emit_json, emit_table, say
from engine.cli.exit_codes import DONE, NOT_READY
from engine.cli.knowledge import opened_knowledge
from engine.cli.library import open_library
from engine.cli.options import Options, minimum_tier
from engine.cli.provenance import versions
from engine.errors import EngineError, NotReadyError, UsageError
from engine.sandbox import Tier
from engine.sandbox.doctor import probe
from engine.sandbox.walls import STRENGTH


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at: is it ready, and what was seen or has to be done."""

    subject: str
    is_ready: bool
    detail: str


def doctor(*, options: Options | None = None) -> int:
    """Say what the bare command would do here, and whether it is ready.

    Exit code 3 when it would not run.
    """
    options = options or Options()
    found = asyncio.run(_examine(options))
    is_ready = all(item.is_ready for item in found)
    if options.as_json:
        emit_json({"is_ready": is_ready, "findings": found})
    else:
        emit_table(_table(found))
        say("ready: run it without a command." if is_ready else "not ready: see the lines above.")
    return DONE if is_ready else NOT_READY


async def _examine(options: Options) -> list[Finding]:
    return [
        await _finding("python", _python()),
        await _finding("run directory", _directory(options)),
        await _finding("sandbox", _sandbox(options)),
        await _finding("main job", _main_job(options)),
    ]


async def _finding(subject: str, check: Coroutine[object, object, str]) -> Finding:
    try:
        return Finding(subject, is_ready=True, detail=await check)
    except EngineError as error:
        return Finding(subject, is_ready=False, detail=str(error))


async def _python() -> str:
    return ", ".join(f"{name} {version}" for name, version in versions().items())


async def _directory(options: Options) -> str:
    folder = options.out or Path("runs")
    nearest = next(part for part in (folder, *folder.absolute().parents) if part.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UsageError(f"{folder}: {nearest} cannot be written into. Name another with --out.")
    free_gib = shutil.disk_usage(nearest).free / 2**30
    return f"{folder} can be written, {free_gib:.1f} GiB free"


async def _sandbox(options: Options) -> str:
    """Make real attacks in a real worker, and hold its tier against what a run accepts."""
    found = await probe()
    walls = f"{found.tier}; walls: {', '.join(found.walls) or 'none'}"
    if STRENGTH.index(found.tier) < STRENGTH.index(minimum_tier(options)):
        raise NotReadyError(
            f"{walls}. Model code could {', '.join(found.succeeded)}. {found.advice} "
            "Or accept it with --allow-contained-only."
        )
    n_refused, n_made = len(found.refused), len(found.refused) + len(found.succeeded)
    if found.succeeded and found.tier != Tier.CONTAINED_ONLY:
        raise NotReadyError(f"{walls}, and yet model code could {', '.join(found.succeeded)}.")
    return f"{walls}; {n_refused} of {n_made} attacks refused"


async def _main_job(options: Options) -> str:
    """Start what the main job would start, and stop it again."""
    study = plan_comparison((MAIN_PHASE,), "", options)
    with tempfile.TemporaryDirectory(prefix="phaselab-doctor-") as folder:
        async with study.serving.open(Path(folder)) as endpoints:
            library = open_library(options)
            promised = study.serving.promised_bytes
            with opened_knowledge(
                endpoints, study.phases, library, log_dir=Path(folder), promised_bytes=promised
            ):
                windows = ", ".join(f"{e.model} ({e.max_model_len} tokens)" for e in endpoints)
    return f"phase {MAIN_PHASE} with {windows}. {study.serving.reason}"


def _table(found: list[Finding]) -> Table:
    table = Table("", "", "", box=None, pad_edge=False, show_header=False)
    for item in found:
        table.add_row(item.subject, "ready" if item.is_ready else "NOT READY", item.detail)
    return table
