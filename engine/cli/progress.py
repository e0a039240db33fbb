"""How far a run is: a tally per model, taken from events alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.events import (
    CompletionReceived,
    Event,
    InvestigationEnded,
    InvestigationResumed,
    InvestigationStarted,
    TurnEnded,
)
from engine.transcript import Investigation


@dataclass
class Tally:
    """Counts of one model so far."""

    running: int = 0
    ended: Counter[str] = field(default_factory=Counter[str])
    """Stop reason -> investigations."""
    turns: int = 0
    blocks: int = 0
    errors: int = 0
    tokens: int = 0
    """Tokens that the model has written."""


class Progress:
    """Tallies of all models of a run."""

    def __init__(self, cases: Sequence[Investigation], started: float) -> None:
        """Begin at zero with `cases` to do; `started` is seconds since the epoch."""
        self.started = started
        self.now = started
        self._model_of = {case.id: case.model for case in cases}
        self.planned = Counter(self._model_of.values())
        self.tallies = {model: Tally() for model in self.planned}
        self._running: set[str] = set()

    def take(self, event: Event) -> None:
        """Count one event."""
        self.now = max(self.now, event.time)
        match event:
            case InvestigationStarted() | InvestigationResumed():
                self._begin(event.investigation)
            case CompletionReceived():
                tally = self._tally(event.investigation)
                tally.tokens += event.completion.usage.completion_tokens
            case TurnEnded():
                tally = self._tally(event.investigation)
                tally.turns += 1
                tally.blocks += len(event.executions)
                tally.errors += sum(execution.error is not None for execution in event.executions)
            case InvestigationEnded():
                tally = self._tally(event.investigation)
                tally.running -= 1
                self._running.discard(event.investigation)
                tally.ended[event.stop_reason] += 1
            case _:
                pass

    @property
    def elapsed_s(self) -> float:
        """Seconds from the start to the last event."""
        return self.now - self.started

    def _begin(self, investigation: str) -> None:
        """Count it as running; a fork is begun and then taken up."""
        if investigation not in self._running:
            self._running.add(investigation)
            self._tally(investigation).running += 1

    def _tally(self, investigation: str) -> Tally:
        return self.tallies[self._model_of[investigation]]
