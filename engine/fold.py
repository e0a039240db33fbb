"""Events -> transcripts. Pure: what a run is follows from its journal alone."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.errors import UsageError
from engine.events import (
    AnyEvent,
    Compacted,
    CompletionReceived,
    Event,
    ExperimentEnded,
    ExperimentStarted,
    InvestigationEnded,
    InvestigationResumed,
    InvestigationStarted,
    TurnEnded,
)
from engine.transcript import (
    NAME,
    Investigation,
    Message,
    Origin,
    RequirementCheck,
    StopReason,
    Transcript,
    Turn,
)

_Happening = (
    ExperimentStarted
    | CompletionReceived
    | Compacted
    | TurnEnded
    | ExperimentEnded
    | InvestigationEnded
    | InvestigationResumed
)
"""What goes on in an investigation that was started."""


def transcripts(events: Iterable[AnyEvent]) -> tuple[Transcript, ...]:
    """Return what `events` record, one transcript per investigation, in order of their start.

    Raises:
        UsageError: an event lacks the one that it depends on, or has a name that is none.
    """
    drafts: dict[str, _Draft] = {}
    for event in events:
        if isinstance(event, InvestigationStarted):
            drafts[event.investigation] = _begun(event)
        elif isinstance(event, _Happening):
            if event.investigation not in drafts:
                raise _lacking(InvestigationStarted, event)
            drafts[event.investigation].take(event)
    return tuple(draft.transcript() for draft in drafts.values())


def investigation_of(start: InvestigationStarted) -> Investigation:
    """Return what `start` begins."""
    return Investigation(
        id=start.investigation,
        model=start.model,
        phase=start.phase,
        replicate=start.replicate,
        seed=start.seed,
        stream=start.stream,
    )


def _begun(start: InvestigationStarted) -> "_Draft":
    _check_names(start)
    draft = _Draft(start)
    for event in start.fork.events if start.fork else ():
        if isinstance(event, _Happening) and not isinstance(event, InvestigationResumed):
            draft.take(event)  # how the trunk came back is no revival of its branch
    draft.n_inherited = len(draft.turns)
    return draft


def _check_names(start: InvestigationStarted) -> None:
    """Raise UsageError if a name is none: files and addresses are called by them."""
    for name in (start.investigation, start.model, start.phase):
        if not re.fullmatch(NAME, name):
            raise UsageError(
                f"events.jsonl: {name!r} is no name of an investigation, model or phase: these "
                "have letters, digits and . _ - only. The file was changed by hand: restore it."
            )


def _lacking(needed: type[Event], event: _Happening) -> UsageError:
    """Return the error of an `event` without the one that it depends on."""
    name = event.investigation
    kind, before = event.__struct_config__.tag, needed.__struct_config__.tag
    return UsageError(
        f"events.jsonl: {name} has {kind} (time {event.time}) and no {before} for it. "
        f"A line was taken out: restore the file, or take out all lines of {name}."
    )


@dataclass
class _Draft:
    start: InvestigationStarted
    end: InvestigationEnded | None = None
    asked: CompletionReceived | None = None
    """A completion that no turn has ended yet."""
    unsent: str | None = None
    """Last observation, until it is known whether it was sent by itself or opens a prompt."""
    messages: list[Message] = field(default_factory=list[Message])
    turns: list[Turn] = field(default_factory=list[Turn])
    n_inherited: int = 0
    """Turns that it has from the investigation that it branched off."""
    revivals: list[tuple[bool, int]] = field(default_factory=list[tuple[bool, int]])
    """(Did it come back exactly, before which turn?) of each time."""
    experiments: dict[str, StopReason | None] = field(default_factory=dict[str, StopReason | None])
    checks: list[RequirementCheck] = field(default_factory=list[RequirementCheck])

    def take(self, event: _Happening) -> None:
        match event:
            case ExperimentStarted():
                self.experiments[event.experiment] = None
                self.messages += event.messages
                self.unsent = None
            case CompletionReceived():
                self._take_completion(event)
            case Compacted():
                pass  # the transcript keeps what the model no longer sees
            case TurnEnded():
                self._take_turn(event)
            case ExperimentEnded():
                self.experiments[event.experiment] = event.stop_reason
                self.checks += [event.requirements] if event.requirements else []
            case InvestigationEnded():
                self.end = event
            case InvestigationResumed():
                self.end = None
                self.revivals.append((event.is_exact, len(self.turns)))

    def _take_completion(self, event: CompletionReceived) -> None:
        if event.experiment not in self.experiments:
            raise _lacking(ExperimentStarted, event)
        self._send_observation()
        self.messages.append(Message("assistant", event.own_text))
        self.asked = event

    def _take_turn(self, event: TurnEnded) -> None:
        if self.asked is None:
            raise _lacking(CompletionReceived, event)
        self.unsent = event.observation
        self.turns.append(
            Turn(
                index=event.turn,
                experiment=self.asked.experiment,
                seed=self.asked.seed,
                completion=self.asked.completion,
                action=event.action,
                executions=event.executions,
                observation=event.observation,
            )
        )
        self.asked = None

    def _send_observation(self) -> None:
        if self.unsent is not None:
            self.messages.append(Message("user", self.unsent))
            self.unsent = None

    def transcript(self) -> Transcript:
        """Return the draft as a value; a last observation counts as part of the conversation."""
        self._send_observation()
        return Transcript(
            investigation=investigation_of(self.start),
            started=self.start.time,
            ended=self.end.time if self.end else None,
            stop_reason=self.end.stop_reason if self.end else None,
            detail=self.end.detail if self.end else "",
            experiments=tuple(self.experiments.items()),
            messages=tuple(self.messages),
            turns=tuple(self.turns),
            requirements=tuple(self.checks),
            origin=self._origin(),
            revivals=tuple("exact" if is_exact else "diverged" for is_exact, _ in self._later()),
            revived_before=tuple(turn for _, turn in self._later()),
        )

    def _origin(self) -> Origin | None:
        fork = self.start.fork
        return fork and Origin(
            investigation=fork.investigation,
            run=fork.run,
            n_turns=self.n_inherited,
            changes=fork.changes,
            is_exact=self.revivals[0][0] if self.revivals else None,
        )

    def _later(self) -> list[tuple[bool, int]]:
        """Return how it came back after interruptions: that a fork begins is none."""
        return self.revivals[1:] if self.start.fork else self.revivals
