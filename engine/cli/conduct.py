"""A study carried out: servers, checkpoints, sandbox, journal and display joined, then run."""

import asyncio
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
from engine.cli.record import check_alike, check_unchanged
from engine.cli.report import show
from engine.cli.study import Study
from engine.events import AnyEvent, RunEnded, RunStarted
from engine.fold import histories
from engine.journal import open_journal, read_events
from engine.loop import Parts, Record
from engine.manifest import Manifest, write_manifest
from engine.report.files import write_files
from engine.report.run import Run, read_run
from engine.runner import conduct, spare_collections
from engine.settings import read_settings
from engine.transcript import Investigation
from engine.trunks import Trunks, has_begun


def carry_out(study: Study, parent: Manifest | None = None) -> int:
    """Run a new `study`, show what came of it, and return the exit code.

    `parent`: of the run that it branches off.
    """
    _announce(study)
    if study.options.dry_run:
        return DONE
    out = study.options.out or default_directory(study.phases[0].key)
    return see_through(
        lambda: conduct_study(study, out, parent), out, as_json=study.options.as_json
    )


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
    each = "" if study.fork else f" ({study.options.replicates} per model and phase)"
    say(
        f"phases: {names}; models at the same time: {', '.join(study.models)}; "
        f"{len(study.investigations())} investigations{each}, study seed {study.options.seed}."
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


async def conduct_study(study: Study, out: Path, parent: Manifest | None = None) -> Run:
    """Run a new `study` in the directory `out`; what was recorded is written out in any case.

    Raises:
        UsageError, NotReadyError: something is wrong with what was asked or with the machine;
            nothing is left behind.
        RunError: the run could not go on; what was recorded is intact.
    """
    with new_directory(out) as directory:
        async with made_ready(study, directory) as ready:
            if parent:
                check_alike(parent, ready.manifest)
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
    async with made_ready(study, out) as ready:
        check_unchanged(before.manifest, ready.manifest)
        return await _record(study, ready, out, recorded, ended)


async def _record(
    study: Study,
    ready: Ready,
    directory: Path,
    recorded: Mapping[str, Sequence[AnyEvent]],
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


async def _run(
    study: Study,
    ready: Ready,
    journal: Record,
    cases: Sequence[Investigation],
    recorded: Mapping[str, Sequence[AnyEvent]],
) -> None:
    progress = Progress(cases, time.time())
    kind, has_colour = study.options.display, read_settings().has_colour
    with display(kind, progress, has_colour=has_colour) as watch:
        record = Watched(journal, watch)
        record.append(RunStarted(time=progress.started, investigations=len(cases)))
        trunks = Trunks(record, study.branches(), recorded)
        before = _begin(study, record, recorded)

        def parts_for(case: Investigation) -> Parts:
            return ready.parts(study, trunks, case)

        is_interrupted = True
        spare_collections()
        try:
            await conduct(
                cases,
                parts_for,
                concurrency=study.concurrency,
                histories=before,
                fork_of=trunks.fork,
            )
            is_interrupted = False
        finally:
            record.append(RunEnded(time=time.time(), is_interrupted=is_interrupted))


def _begin(
    study: Study, record: Record, recorded: Mapping[str, Sequence[AnyEvent]]
) -> dict[str, Sequence[AnyEvent]]:
    """Record what a fork begins with; return what each investigation goes on from, by id.

    One that was to branch off another, and never did, begins anew.
    """
    branches = study.branches()
    new = [start for start in study.begun if start.investigation not in recorded]
    for start in new:
        record.append(start)
    kept = {
        case: events
        for case, events in recorded.items()
        if case not in branches or has_begun(events)
    }
    return {**kept, **{start.investigation: (start,) for start in new}}
