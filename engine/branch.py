"""Where investigations can branch: what phases have in common, what a branch inherits. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from engine.errors import UsageError
from engine.events import (
    AnyEvent,
    Compacted,
    CompletionReceived,
    ExperimentEnded,
    ExperimentStarted,
    InvestigationResumed,
    InvestigationStarted,
    TurnEnded,
)
from engine.phase import Phase
from engine.transcript import Investigation

Happening = (
    ExperimentStarted
    | CompletionReceived
    | Compacted
    | TurnEnded
    | ExperimentEnded
    | InvestigationResumed
)
"""What goes on in an investigation; all that a branch inherits.

That it was taken up again is needed to tell what of a turn's time was an interruption.
"""

Place = str | int
"""The experiment before which, or the number of turns after which to branch off."""

_MOST_DIGITS = 9
"""Of a number of turns: no investigation comes to more."""
_MOST_SHOWN = 80
"""Characters of what is no place."""


class Branch(NamedTuple):
    """Whose beginning an investigation shares, and how much of it."""

    investigation: str
    n_experiments: int


def branches_of(cases: Iterable[Investigation], phases: Mapping[str, Phase]) -> dict[str, Branch]:
    """Return by id where each of `cases` can branch off an earlier one: as late as can be.

    Only investigations of one model and replicate share: they have the same seed.
    """
    found: dict[str, Branch] = {}
    before: dict[tuple[str, int], list[Investigation]] = {}
    for case in cases:
        siblings = before.setdefault((case.model, case.replicate), [])
        shared = [
            Branch(other.id, n_shared(phases[other.phase], phases[case.phase]))
            for other in siblings
        ]
        best = max(shared, key=lambda branch: branch.n_experiments, default=None)
        if best and best.n_experiments:
            found[case.id] = best
        siblings.append(case)
    return found


def n_shared(one: Phase, other: Phase) -> int:
    """Return how many experiments two phases have in common from the first on.

    In these an arm of one cannot be told from an arm of the other.
    """
    if _ground(one) != _ground(other):
        return 0
    pairs = zip(_stages(one), _stages(other), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _ground(phase: Phase) -> dict[str, object]:
    """Return what shapes every experiment of a phase."""
    return phase.model_dump(exclude={"key", "title", "asks", "experiments", "heritage"})


def _stages(phase: Phase) -> list[tuple[object, object]]:
    return [
        (stage, phase.heritage if phase.has_heritage(stage.name) else None)
        for stage in phase.experiments
    ]


def happenings(events: Iterable[AnyEvent]) -> tuple[Happening, ...]:
    """Return what happened in an investigation, what it inherited itself included."""
    found: list[Happening] = []
    for event in events:
        if isinstance(event, InvestigationStarted):
            found = list(happenings(event.fork.events)) if event.fork else []
        elif isinstance(event, Happening):
            found.append(event)
    return tuple(found)


class Trunk(NamedTuple):
    """A recorded investigation, and what a branch at some place shares with it."""

    start: InvestigationStarted
    shared: tuple[Happening, ...] | None
    """None: it has not come that far."""


def trunks_at(events: Iterable[AnyEvent], at: Place) -> tuple[Trunk, ...]:
    """Return every investigation that `events` record, as a trunk of a branch at `at`."""
    starts: dict[str, InvestigationStarted] = {}
    kept: dict[str, list[AnyEvent]] = {}
    for event in events:
        if isinstance(event, InvestigationStarted):
            starts[event.investigation] = event
        if isinstance(event, InvestigationStarted | Happening):
            kept.setdefault(event.investigation, []).append(event)
    return tuple(Trunk(start, until(happenings(kept[name]), at)) for name, start in starts.items())


def upcoming(phase: Phase, trunk: Trunk) -> tuple[str, ...]:
    """Return the names of the experiments that a branch of `trunk` has yet to begin."""
    shared = trunk.shared or ()
    begun = {event.experiment for event in shared if isinstance(event, ExperimentStarted)}
    return tuple(stage.name for stage in phase.experiments if stage.name not in begun)


def until(events: Sequence[Happening], at: Place) -> tuple[Happening, ...] | None:
    """Return what happened before the experiment called `at`, or in the first `at` turns.

    None: the investigation has not come that far.
    """
    for place, event in enumerate(events):
        match event, at:
            case ExperimentStarted(experiment=name), str() if name == at:
                return tuple(events[:place])
            case TurnEnded(turn=turn), int() if turn == at - 1:
                return tuple(events[: place + 1])
            case _:
                pass
    return None


def first_experiments(
    events: Sequence[Happening], n_experiments: int
) -> tuple[Happening, ...] | None:
    """Return what happened until the end of this many experiments; None: they have not ended."""
    n_ended = 0
    for place, event in enumerate(events):
        n_ended += isinstance(event, ExperimentEnded)
        if n_ended == n_experiments:
            return tuple(events[: place + 1])
    return None


def parse_place(text: str, phases: Iterable[Phase]) -> Place:
    """Return the place that `text` names: an experiment of `phases`, or a number of turns.

    Raises:
        UsageError: it is neither.
    """
    names = list(dict.fromkeys(stage.name for phase in phases for stage in phase.experiments))
    if text in names:
        return text
    if text.isdecimal() and len(text) <= _MOST_DIGITS and int(text) > 0:
        return int(text)
    raise UsageError(
        f"--at {text[:_MOST_SHOWN]!r}: neither an experiment of the run ({', '.join(names)}) "
        f"nor a number of turns to keep, from 1 on and of {_MOST_DIGITS} digits at most."
    )
