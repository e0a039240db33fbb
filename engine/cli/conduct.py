"""A study carried out: servers, checkpoints, sandbox, journal and display joined, then run."""

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    Callable,
    Coroutine,
    Generator,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from engine.budget import RunBudget
from engine.cli.console import say
from engine.cli.directory import default_directory, new_directory
from engine.cli.display import Watched, display
from engine.cli.enlarging import advice, enlarged
from engine.cli.exit_codes import DONE, FAILED, INTERRUPTED, PARTIAL
from engine.cli.loads import loads_recorded
from engine.cli.outlook import foretell, foretelling
from engine.cli.paces import remember
from engine.cli.progress import Progress
from engine.cli.ready import Ready, made_ready
from engine.cli.record import check_alike, check_unchanged
from engine.cli.recorded import Recorded, recorded_in
from engine.cli.report import show, write_out
from engine.cli.room import room_kept
from engine.cli.serving.turns import rounds
from engine.cli.stopping import (
    INTERRUPTED_BY_HAND,
    Spending,
    obey_signals,
    until_deadline,
)
from engine.cli.study import Study, begun
from engine.compare.catalogue import named
from engine.drain import Drain
from engine.errors import EngineError, JournalError
from engine.events import AnyEvent, RunEnded, RunStarted
from engine.journal import locked, writing
from engine.loop import Parts, Record
from engine.manifest import Manifest, read_manifest, write_manifest
from engine.report.page.page import NAME as PAGE
from engine.report.purity import write_secrets
from engine.report.run import Run, read_run
from engine.runner import conduct, spare_collections
from engine.settings import read_settings
from engine.transcript import Investigation, StopReason
from engine.trunks import Trunks, has_begun


def carry_out(study: Study, parent: Manifest | None = None) -> int:
    """Run a new `study`, show what came of it, and return the exit code.

    `parent`: of the run that it branches off.
    """
    _announce(study)
    foretell(study)
    if study.options.dry_run:
        return DONE
    out = study.options.out or default_directory(study.phases[0].key)
    return see_through(
        lambda drain: conduct_study(study, out, drain, parent), out, as_json=study.options.as_json
    )


class Outcome(NamedTuple):
    """What came of the work on a run."""

    run: Run
    n_left: int
    """Investigations that a drain left for another time."""


Work = Callable[[Drain], Coroutine[object, object, Outcome]]


def see_through(work: Work, out: Path, *, as_json: bool) -> int:
    """Do the `work` on the run directory `out`, show what came of it, return the exit code."""
    drain = Drain()
    try:
        outcome = asyncio.run(_interruptible(work, drain))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say_interrupted(out)
        raise
    except JournalError:
        say(f"the run has stopped. Go on with: resume {out}")
        raise
    show(outcome.run, as_json=as_json)
    if more := advice(outcome.run):
        say(more)
    say(f"report: {out / PAGE}")
    say(f"run directory: {out}")
    if outcome.n_left:
        say(f"{drain.reason}: {outcome.n_left} investigations are left. Go on with: resume {out}")
        return INTERRUPTED if drain.reason == INTERRUPTED_BY_HAND else PARTIAL
    return _exit_code(outcome.run, out)


def _announce(study: Study) -> None:
    say(study.serving.reason)
    names = ", ".join(phase.key for phase in study.phases)
    how = "models at the same time" if study.serving.turns is None else "models taking turns"
    least = "at least " if study.options.until_mde else ""
    each = "" if study.fork else f" ({least}{study.options.replicates} per model and phase)"
    say(
        f"phases: {names}; {how}: {', '.join(study.models)}; "
        f"{len(study.investigations())} investigations{each}, study seed {study.options.seed}."
    )
    if study.serving.turns:
        say("speed figures are isolated: no arm is slowed down by another one on this machine.")
    if len(study.models) > 1:
        say(f"primary measure: {named(study.options.primary).label} (--primary).")


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


async def _interruptible(work: Work, drain: Drain) -> Outcome:
    obey_signals(drain)
    return await work(drain)


async def conduct_study(
    study: Study, out: Path, drain: Drain, parent: Manifest | None = None
) -> Outcome:
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
            write_secrets(directory, ready.secrets)
            write_manifest(directory, ready.manifest)
            with locked(directory / "events.jsonl") as fd:
                return await _record(study, ready, _Place(directory, fd, drain), Recorded())


async def continue_study(study: Study, out: Path, drain: Drain) -> Outcome:
    """Take up every investigation of the run in `out` that the model did not end by itself.

    Raises:
        UsageError: the conditions of the run have changed; the fields are named.
        NotReadyError, RunError: as `conduct_study`.
    """
    with locked(out / "events.jsonl") as fd:
        before, recorded = read_manifest(out), recorded_in(out, study)
        if study.fork:
            study = replace(study, begun=begun(recorded.events, out))
        async with made_ready(study, out) as ready:
            check_unchanged(before, ready.manifest)
            return await _record(study, ready, _Place(out, fd, drain), recorded)


class _Place(NamedTuple):
    """Where a run is recorded, and how it is told to stop."""

    directory: Path
    fd: int
    """Of the journal, locked."""
    drain: Drain


async def _record(study: Study, ready: Ready, place: _Place, recorded: Recorded) -> Outcome:
    with (
        _files_written_anyhow(place.directory),
        room_kept(place.directory, place.drain),
        writing(place.fd) as journal,
    ):
        n_left = await _stage(study, ready, journal, place.drain, recorded)
        while not n_left and (further := await _further(study, place, journal)):
            study, recorded = further
            n_left = await _stage(study, ready, journal, place.drain, recorded)
    result = read_run(place.directory)
    write_out(result)
    if not recorded:
        remember(study, result)
    return Outcome(result, n_left)


async def _stage(
    study: Study, ready: Ready, journal: Record, drain: Drain, recorded: Recorded
) -> int:
    """Carry out what has not ended of the study; return how many investigations are left."""
    cases = [case for case in study.investigations() if case.id not in recorded.ended]
    return len(cases) - await _run(study, ready, journal, drain, cases, recorded)


async def _further(study: Study, place: _Place, journal: Record) -> tuple[Study, Recorded] | None:
    """Return the study with another stage, and what is recorded of it; None: it is complete."""
    if study.options.until_mde is None:
        return None
    await journal.commit()
    more = enlarged(study, read_run(place.directory))
    return more and (more, recorded_in(place.directory, more))


@contextmanager
def _files_written_anyhow(directory: Path) -> Generator[None]:
    """Write what is derived from the journal even if the block fails: its own error counts."""
    try:
        yield
    except BaseException:
        try:
            write_out(read_run(directory))
        except EngineError as error:
            say(f"{error} `report {directory}` writes what is derived from the journal anew.")
        raise


async def _run(
    study: Study,
    ready: Ready,
    journal: Record,
    drain: Drain,
    cases: Sequence[Investigation],
    recorded: Recorded,
) -> int:
    """Carry out the `cases`; return how many of them ended."""
    options = study.options
    progress, settings = Progress(cases, time.time(), study.phases), read_settings()
    progress.recall(recorded.events)
    with display(
        options.display,
        progress,
        has_colour=settings.has_colour,
        is_notebook=settings.is_notebook,
    ) as watch:
        budget = RunBudget(max_turns=options.max_turns, max_tokens=options.max_tokens)
        record = Spending(Watched(journal, watch), budget, drain, recorded.spent)
        record.append(_run_started(progress.started, len(cases), ready.manifest))
        trunks = Trunks(record, study.branches(), recorded.events)
        before = _begin(study, record, recorded)

        def parts_for(case: Investigation) -> Parts:
            return ready.parts(study, trunks, drain, case)

        ends: dict[str, StopReason] = {}
        spare_collections()
        try:
            with (
                until_deadline(options.deadline, drain),
                loads_recorded(record, ready.backends),
                foretelling(study, progress),
            ):
                async for part in _turn_by_turn(study, cases, drain):
                    ends |= await conduct(
                        part,
                        parts_for,
                        concurrency=study.concurrency,
                        histories=before,
                        fork_of=trunks.fork,
                        drain=drain,
                    )
        finally:
            is_interrupted = len(ends) < len(cases)
            for costs in ready.knowledge.costs():
                record.append(costs)
            record.append(RunEnded(time=time.time(), is_interrupted=is_interrupted))
    return len(ends)


def _run_started(now: float, n_cases: int, manifest: Manifest) -> RunStarted:
    """Return the event that says where the run is taken up: not always where it was begun."""
    return RunStarted(
        time=now,
        investigations=n_cases,
        endpoints={arm.model: (arm.url, *arm.others) for arm in manifest.arms},
        machine=manifest.machine,
    )


async def _turn_by_turn(
    study: Study, cases: Sequence[Investigation], drain: Drain
) -> AsyncGenerator[Sequence[Investigation]]:
    """Yield what can be carried out now: everything, or that of the arm whose turn it is."""
    turns = study.serving.turns
    if turns is None:
        yield cases
        return
    for model, part in rounds(cases, study.models, study.n_each):
        if drain.reason is not None:
            return
        await turns.take(study.serving.twins.get(model, model))
        say(f"{model}: its turn, {len(part)} investigations.")
        yield part


def _begin(study: Study, record: Record, recorded: Recorded) -> dict[str, Sequence[AnyEvent]]:
    """Record what a fork begins with; return what each investigation goes on from, by id.

    One that was to branch off another, and never did, begins anew.
    """
    branches = study.branches()
    new = [start for start in study.begun if start.investigation not in recorded.events]
    for start in new:
        record.append(start)
    kept = {
        case: events
        for case, events in recorded.events.items()
        if case not in branches or has_begun(events)
    }
    return {**kept, **{start.investigation: (start,) for start in new}}
