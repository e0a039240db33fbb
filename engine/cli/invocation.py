"""One invocation of a study: announced, seen through, shown, and its exit code."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import uvloop

from engine.cli.conduct import Outcome, conduct_study
from engine.cli.console import say
from engine.cli.counts import counted
from engine.cli.directory import default_directory, new_directory
from engine.cli.enlarging import advice
from engine.cli.exit_codes import DONE, FAILED, INTERRUPTED, PARTIAL
from engine.cli.library import open_library
from engine.cli.options import Options
from engine.cli.outlook import foretell
from engine.cli.report import show
from engine.cli.stopping import INTERRUPTED_BY_HAND, obey_signals
from engine.cli.study import Study
from engine.compare.catalogue import named
from engine.drain import Drain
from engine.errors import JournalError
from engine.manifest import Manifest
from engine.report.page.page import NAME as PAGE
from engine.report.run import Run


def carry_out(study: Study, parent: Manifest | None = None) -> int:
    """Run a new `study`, show what came of it, and return the exit code.

    `parent`: of the run that it branches off.

    Raises:
        UsageError, NotReadyError: something is wrong with what was asked or with the machine.
        RunError: the run could not go on; what was recorded is intact.
    """
    _check_places(study.options)
    _announce(study)
    foretell(study)
    if study.options.dry_run:
        return DONE
    out = study.options.out or default_directory(study.phases[0].key)
    return see_through(
        lambda drain: conduct_study(study, out, drain, parent), out, as_json=study.options.as_json
    )


Work = Callable[[Drain], Coroutine[object, object, Outcome]]


def see_through(work: Work, out: Path, *, as_json: bool) -> int:
    """Do the `work` on the run directory `out`, show what came of it, return the exit code."""
    drain = Drain()
    try:
        outcome = uvloop.run(_interruptible(work, drain))
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
        left = counted(outcome.n_left, "investigation")
        say(f"{drain.reason}: {left} left. Go on with: resume {out}")
        return INTERRUPTED if drain.reason == INTERRUPTED_BY_HAND else PARTIAL
    return _exit_code(outcome.run, out)


def _check_places(options: Options) -> None:
    """Look at the directories that `options` name, so that a dry run refuses what a run would.

    Raises:
        UsageError, NotReadyError: a run cannot be written to one, or documents read from one.
    """
    open_library(options)
    if options.out:
        with new_directory(options.out):
            pass


def _announce(study: Study) -> None:
    say(study.serving.reason)
    names = ", ".join(phase.key for phase in study.phases)
    how = "models at the same time" if study.serving.turns is None else "models taking turns"
    how = how if len(study.models) > 1 else "model"
    least = "at least " if study.options.until_mde else ""
    each = "" if study.fork else f" ({least}{study.options.replicates} per model and phase)"
    number = counted(len(study.investigations()), "investigation")
    say(
        f"phases: {names}; {how}: {', '.join(study.models)}; {number}{each}, study seed "
        f"{study.options.seed}."
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
