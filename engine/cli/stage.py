"""One stage of a study: its investigations carried out, recorded and shown."""

import time
from collections.abc import AsyncGenerator, Sequence

from engine.budget import RunBudget
from engine.cli.console import say
from engine.cli.display import display
from engine.cli.loads import loads_recorded
from engine.cli.outlook import foretelling
from engine.cli.progress import Progress
from engine.cli.ready import Ready
from engine.cli.recorded import Recorded
from engine.cli.serving.turns import rounds
from engine.cli.stopping import Spending
from engine.cli.study import Study
from engine.drain import Drain
from engine.events import AnyEvent, RunEnded, RunStarted
from engine.loop import Parts
from engine.manifest import Manifest
from engine.record import Overheard, Record
from engine.runner import conduct, spare_collections
from engine.settings import read_settings
from engine.transcript import Investigation, StopReason
from engine.trunks import Trunks, has_begun


async def carried_out(
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
        spending = Spending(budget, drain, recorded.spent)
        trunks = Trunks(study.branches(), recorded.events)
        record = Overheard(journal, watch, spending.hear, trunks.hear)
        record.append(_run_started(progress.started, len(cases), ready.manifest))
        before = _begin(study, record, recorded)
        await record.commit()  # nothing is asked for before it is on the disk where

        def parts_for(case: Investigation) -> Parts:
            return ready.parts(study, record, drain, case)

        ends: dict[str, StopReason] = {}
        spare_collections()
        try:
            with (
                loads_recorded(record, ready.backends),
                foretelling(study, progress),
            ):
                async for part in _turn_by_turn(study, cases, drain):
                    for backend in ready.backends.values():
                        drain.listen(backend.recheck)
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
