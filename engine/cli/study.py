"""What is asked for: models x phases x replicates, and how they are served."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engine.branch import Branch, branches_of
from engine.cli.options import Options
from engine.cli.serving import Serving
from engine.compare.catalogue import named
from engine.compare.stages import N_FIRST
from engine.errors import UsageError
from engine.events import AnyEvent, InvestigationStarted, RunStarted
from engine.fold import investigation_of
from engine.journal import read_events
from engine.manifest import Design, ForkFacts
from engine.phase import Phase
from engine.runner import plan
from engine.transcript import Investigation

DEFAULT_CONCURRENCY = 64
"""Investigations at once, per model: twice the slots of an embedded server keep it busy."""

_LONGEST_ID = 200
"""Letters of an investigation's id: a file name may have 255 bytes, and some are for an ending."""
_MOST_SHOWN = 60
"""Letters of one that is too long."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study, before anything is started."""

    serving: Serving
    phases: tuple[Phase, ...]
    options: Options
    fork: ForkFacts | None = None
    """None: the investigations are models x phases x replicates."""
    begun: tuple[InvestigationStarted, ...] = ()
    """The investigations of a fork, with all that they have in common with those of its run."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the arms."""
        return self.serving.models

    @property
    def concurrency(self) -> int:
        """Investigations at once, per model."""
        return self.options.concurrency or DEFAULT_CONCURRENCY

    @property
    def n_each(self) -> int | None:
        """Investigations of one arm's turn; None: all of its own.

        Servers that sleep change in seconds, so that arms go on side by side: a run that is stopped
        has as many of each. One that has to be started again has all its investigations in one go.
        """
        n_phases = max(1, len(self.phases))
        n_replicates = -(-self.concurrency // n_phases)
        return n_replicates * n_phases if self.serving.schedule == "sleep" else None

    def investigations(self) -> tuple[Investigation, ...]:
        """Return every investigation of the study, arms interleaved."""
        if self.fork:
            return tuple(map(investigation_of, self.begun))
        return plan(
            models=self.models,
            phases=[phase.key for phase in self.phases],
            replicates=self.options.replicates,
            seed=self.options.seed,
        )

    def branches(self) -> dict[str, Branch]:
        """Return by id which investigations begin as another one did, and for how long."""
        phases = {phase.key: phase for phase in self.phases}
        return branches_of(self.investigations(), phases) if self.options.share_prefix else {}

    def phase(self, key: str) -> Phase:
        """Return the phase called `key`."""
        return next(phase for phase in self.phases if phase.key == key)


def settled(options: Options) -> Options:
    """Return the flags of a comparison with what follows from them; --until-mde has two stages.

    Raises:
        UsageError: what is to be compared cannot be.
    """
    if named(options.primary).is_speed:
        raise UsageError(
            f"--primary {options.primary}: says what the machine did, not what a model does. "
            "Choose another measure; seconds and tokens per second are shown beside it."
        )
    if options.until_mde is None:
        return options
    n_first = max(options.replicates, N_FIRST)
    if options.max_replicates < n_first:
        raise UsageError(
            f"--max-replicates {options.max_replicates}: --until-mde begins with {n_first}."
        )
    return replace(options, replicates=n_first)


def design_of(options: Options) -> Design:
    """Return what is settled about a comparison before its first turn."""
    return Design(
        primary=options.primary,
        until_mde=options.until_mde,
        max_replicates=options.max_replicates,
    )


def begun(
    recorded: Mapping[str, Iterable[AnyEvent]], run: Path
) -> tuple[InvestigationStarted, ...]:
    """Return with what the investigations of the fork in `run` began.

    Raises:
        UsageError: it was killed before that was recorded of all.
    """
    events = itertools.chain.from_iterable(recorded.values())
    starts = tuple(event for event in events if isinstance(event, InvestigationStarted))
    if not starts:
        raise UsageError(f"{run}: was killed before anything was recorded. Fork once more.")
    n_planned = _n_planned(run)
    if len(starts) < n_planned:
        raise UsageError(
            f"{run}: was killed before everything was recorded ({len(starts)} of {n_planned} "
            "investigations). Fork once more."
        )
    return starts


def _n_planned(run: Path) -> int:
    """Return how many investigations there were to be when the fork in `run` was begun."""
    events = read_events(run / "events.jsonl")
    return next((each.investigations for each in events if isinstance(each, RunStarted)), 0)


def check_names(study: Study) -> None:
    """Refuse what no file can be called by, before anything is asked for.

    Raises:
        UsageError: the id of an investigation is too long.
    """
    longest = max((case.id for case in study.investigations()), key=len, default="")
    if len(longest) > _LONGEST_ID:
        raise UsageError(
            f"{longest[:_MOST_SHOWN]}...: files are called by the model and the phase of an "
            f"investigation, which have {len(longest)} letters together and may have "
            f"{_LONGEST_ID}. Give the endpoint or the phase a shorter name."
        )
