"""A study carried out: servers, checkpoints, sandbox, journal and display joined, then run."""

import asyncio
import gc
import signal
import time
from collections.abc import (
    Callable,
    Container,
    Coroutine,
    Mapping,
    Sequence,
)
from pathlib import Path

from engine.cli.console import say
from engine.cli.directory import default_directory, new_directory
from engine.cli.display import Watched, display
from engine.cli.exit_codes import DONE, FAILED, PARTIAL
from engine.cli.progress import Progress
from engine.cli.ready import Ready, made_ready
from engine.cli.record import check_unchanged
from engine.cli.report import show
from engine.cli.study import Study
from engine.events import Event, RunEnded, RunStarted
from engine.fold import histories
from engine.journal import open_journal, read_events
from engine.loop import Parts, Record
from engine.manifest import write_manifest
from engine.report.files import write_files
from engine.report.run import Run, read_run
from engine.runner import conduct
from engine.settings import read_settings
from engine.transcript import Investigation


def carry_out(study: Study) -> int:
    """Run a new `study`, show what came of it, and return the exit code."""
    _announce(study)
    if study.options.dry_run:
        return DONE
    out = study.options.out or default_directory(study.phases[0].key)
    return see_through(lambda: conduct_study(study, out), out, as_json=study.options.as_json)


def see_through(
    work: Callable[[], Coroutine[object, object, Run]], out: Path, *, as_json: bool
) -> int:
    """Do the `work` on the run directory `out`, show what came of it, return the exit code."""
    try:
        result = asyncio.run(_interruptible(work()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say_interrupted(out)
        raise
    show(result, as_json=as_json)
    say(f"run directory: {out}")
    return _exit_code(result, out)


def _announce(study: Study) -> None:
    say(study.serving.reason)
    names = ", ".join(phase.key for phase in study.phases)
    n_cases = len(study.investigations())
    say(
        f"phases: {names}; models at the same time: {', '.join(study.models)}; "
        f"{n_cases} investigations ({study.options.replicates} per model and phase), "
        f"study seed {study.options.seed}."
    )


def _say_interrupted(out: Path) -> None:
    if (out / "manifest.json").exists():
        say(f"interrupted; what happened until now is recorded. Go on with: resume {out}")
    else:
        say("interrupted before the run began; nothing was written.")


def _exit_code(result: Run, out: Path) -> int:
    lost = [item for item in result.measures if item.is_infrastructure]
    if not lost:
        return DONE
    say(f"{len(lost)} of {len(result.measures)} investigations were ended by infrastructure:")
    for item in lost[:5]:
        say(f"  {item.investigation}: {item.stop_reason}: {item.detail}")
    say(f"Go on with them by: resume {out}")
    return FAILED if len(lost) == len(result.measures) else PARTIAL


async def _interruptible(work: Coroutine[object, object, Run]) -> Run:
    """Let SIGTERM unwind everything, as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


async def conduct_study(study: Study, out: Path) -> Run:
    """Run a new `study` in the directory `out`; what was recorded is written out in any case.

    Raises:
        UsageError, NotReadyError: something is wrong with what was asked or with the machine;
            nothing is left behind.
        RunError: the run could not go on; what was recorded is intact.
    """
    with new_directory(out) as directory:
        async with made_ready(study, directory) as ready:
            write_manifest(directory, ready.manifest)
            return await _record(study, ready, directory, {})


async def continue_study(study: Study, out: Path) -> Run:
    """Take up every investigation of the run in `out` that the model did not end by itself.

    Raises:
        UsageError: the conditions of the run have changed; the fields are named.
        NotReadyError, RunError: as `conduct_study`.
    """
    before = read_run(out)
    ended = {item.investigation for item in before.measures if not item.is_infrastructure}
    recorded = histories(read_events(out / "events.jsonl"))
    left = {case: events for case, events in recorded.items() if case not in ended}
    async with made_ready(study, out) as ready:
        check_unchanged(before.manifest, ready.manifest)
        return await _record(study, ready, out, left, ended)


async def _record(
    study: Study,
    ready: Ready,
    directory: Path,
    recorded: Mapping[str, Sequence[Event]],
    ended: Container[str] = (),
) -> Run:
    cases = [case for case in study.investigations() if case.id not in ended]
    try:
        with open_journal(directory / "events.jsonl") as journal:
            await _run(study, ready, journal, cases, recorded)
    finally:
        result = read_run(directory)
        write_files(result)
    return result


def _spare_collections() -> None:
    """Leave what lives as long as the run out of garbage collections, and make these rarer.

    Worth 2 to 20 % of a request's CPU where a thousand are in flight: each holds a few hundred
    objects that live for seconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _run(
    study: Study,
    ready: Ready,
    journal: Record,
    cases: Sequence[Investigation],
    recorded: Mapping[str, Sequence[Event]],
) -> None:
    progress = Progress(cases, time.time())
    kind, has_colour = study.options.display, read_settings().has_colour
    with display(kind, progress, has_colour=has_colour) as watch:
        record = Watched(journal, watch)
        record.append(RunStarted(time=progress.started, investigations=len(cases)))

        def parts_for(case: Investigation) -> Parts:
            return ready.parts(study, record, case)

        is_interrupted = True
        _spare_collections()
        try:
            await conduct(cases, parts_for, concurrency=study.concurrency, histories=recorded)
            is_interrupted = False
        finally:
            record.append(RunEnded(time=time.time(), is_interrupted=is_interrupted))
