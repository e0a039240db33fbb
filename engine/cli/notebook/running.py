"""The run of the notebook: begun, or taken up where it was left."""

from pathlib import Path

from engine.cli.conduct import conduct_study, continue_study
from engine.cli.console import say
from engine.cli.notebook.choosing import Choice
from engine.cli.notebook.drive import restore, snapshots
from engine.cli.options import Options
from engine.cli.outlook import foretell
from engine.cli.serving.choice import choose
from engine.cli.study import Study
from engine.drain import Drain
from engine.report.run import read_run
from phases.load import get_phases


async def run(choice: Choice) -> None:
    """Carry `choice` out; its run directory has what is recorded, also of one that did not end.

    A run that was interrupted goes on at its next turn, also on another machine if snapshots of
    it are on Drive. One that is finished is left as it is.

    Raises:
        EngineError: something is not ready, or the run could not go on; what was recorded is kept.
    """
    out = choice.run_dir
    restore(out, choice.snapshot_dir)
    study = _study(choice)
    n_left = _n_left(study, out)
    if n_left == 0:
        say(f"finished before: {out}")
        return
    say(study.serving.reason)
    foretell(study)
    work = conduct_study if n_left is None else continue_study
    async with snapshots(out, choice.snapshot_dir):
        outcome = await work(study, out, Drain())
    left = (
        f"; {outcome.n_left} investigations are left: run this cell again" if outcome.n_left else ""
    )
    say(f"run directory: {out}{left}")


def _study(choice: Choice) -> Study:
    options = Options(
        checkpoint=choice.weights,
        quantization=choice.quantization,
        replicates=choice.replicates,
        seed=choice.seed,
        deadline=choice.deadline_s,
    )
    return Study(
        serving=choose(options, choice.models),
        phases=get_phases((choice.phase,), ()),
        options=options,
    )


def _n_left(study: Study, out: Path) -> int | None:
    """Return how many investigations are not done; None: the run was not begun."""
    if not (out / "manifest.json").exists():
        return None
    done = {item.investigation for item in read_run(out).measures if not item.is_infrastructure}
    return sum(case.id not in done for case in study.investigations())
