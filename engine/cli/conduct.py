"""A study carried out in its directory: what it needs opened, stage by stage, results written."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from engine.cli.console import say
from engine.cli.directory import new_directory
from engine.cli.enlarging import enlarged
from engine.cli.paces import remember
from engine.cli.ready import Ready, made_ready
from engine.cli.record import check_alike, check_unchanged, tell_moved
from engine.cli.recorded import Recorded, cases_in, recorded_in
from engine.cli.report import read, write_out
from engine.cli.room import room_kept
from engine.cli.stage import carried_out
from engine.cli.stopping import stop_at_once, until_deadline
from engine.cli.study import Study, begun, check_names
from engine.drain import Drain
from engine.errors import EngineError
from engine.journal import locked, writing
from engine.manifest import Manifest, read_manifest, write_manifest
from engine.record import Record
from engine.report.purity import write_secrets
from engine.report.run import Run, check_cases


class Outcome(NamedTuple):
    """What came of the work on a run."""

    run: Run
    n_left: int
    """Investigations that a drain left for another time."""


async def conduct_study(
    study: Study, out: Path, drain: Drain, parent: Manifest | None = None
) -> Outcome:
    """Run a new `study` in the directory `out`; what was recorded is written out in any case.

    The deadline of the study counts from now, for what is started up and for all of its stages.

    Raises:
        UsageError, NotReadyError: something is wrong with what was asked or with the machine;
            nothing is left behind.
        RunError: the run could not go on; what was recorded is intact.
    """
    with until_deadline(study.options.deadline, drain), new_directory(out) as directory:
        check_names(study)
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
        UsageError: the conditions of the run have changed, or its journal is of another one; the
            fields are named.
        NotReadyError, RunError: as `conduct_study`.
    """
    with until_deadline(study.options.deadline, drain), locked(out / "events.jsonl") as fd:
        before, recorded = read_manifest(out), recorded_in(out, study)
        check_cases(cases_in(out), before, out)
        if study.fork:
            study = replace(study, begun=begun(recorded.events, out))
        async with made_ready(study, out) as ready:
            check_unchanged(before, ready.manifest)
            tell_moved(before, ready.manifest)
            return await _record(study, ready, _Place(out, fd, drain), recorded)


class _Place(NamedTuple):
    """Where a run is recorded, and how it is told to stop."""

    directory: Path
    fd: int
    """Of the journal, locked."""
    drain: Drain


async def _record(study: Study, ready: Ready, place: _Place, recorded: Recorded) -> Outcome:
    is_resumed = recorded.has_begun
    with (
        _files_written_anyhow(place.directory),
        room_kept(place.directory, place.drain),
        writing(place.fd) as journal,
    ):
        n_left = await _stage(study, ready, journal, place.drain, recorded)
        while not n_left and (further := await _further(study, place, journal)):
            study, recorded = further
            n_left = await _stage(study, ready, journal, place.drain, recorded)
    stop_at_once()
    result = read(place.directory)
    write_out(result)
    if not is_resumed:
        remember(study, result)
    return Outcome(result, n_left)


async def _stage(
    study: Study, ready: Ready, journal: Record, drain: Drain, recorded: Recorded
) -> int:
    """Carry out what has not ended of the study; return how many investigations are left."""
    cases = [case for case in study.investigations() if case.id not in recorded.ended]
    return len(cases) - await carried_out(study, ready, journal, drain, cases, recorded)


async def _further(study: Study, place: _Place, journal: Record) -> tuple[Study, Recorded] | None:
    """Return the study with another stage, and what is recorded of it; None: it is complete."""
    if study.options.until_mde is None:
        return None
    await journal.commit()
    more = enlarged(study, read(place.directory))
    return more and (more, recorded_in(place.directory, more))


@contextmanager
def _files_written_anyhow(directory: Path) -> Generator[None]:
    """Write what is derived from the journal even if the block fails: its own error counts."""
    try:
        yield
    except BaseException:
        stop_at_once()
        try:
            write_out(read(directory))
        except EngineError as error:
            say(f"{error} `report {directory}` writes what is derived from the journal anew.")
        raise
