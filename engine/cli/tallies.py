"""Counts of a run, per model and per running investigation, taken from events alone."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from engine.events import (
    Compacted,
    CompletionReceived,
    Event,
    ExperimentStarted,
    InvestigationResumed,
    LoadSeen,
    RequestRepeated,
    TurnEnded,
)
from engine.transcript import Investigation, Usage

_RATE_OVER_S = 30.0
"""Rates are those of the last seconds: they show what goes on now."""


@dataclass
class Course:
    """One investigation that runs."""

    case: Investigation
    since: float
    """When the last thing that is recorded of it happened."""
    doing: str = "begins"
    experiment: str = ""
    opened_at: int = 0
    """Turns before the open experiment."""
    turns: int = 0
    blocks: int = 0
    errors: int = 0
    tokens: int = 0
    """Tokens that the model has written."""

    def take(self, event: Event) -> None:
        """Count one event of the investigation."""
        self.since = event.time
        match event:
            case ExperimentStarted():
                self.experiment, self.opened_at, self.doing = event.experiment, self.turns, "asks"
            case CompletionReceived():
                self.tokens += event.completion.usage.completion_tokens
                self.doing = "acts"
            case TurnEnded():
                self.turns += 1
                self.blocks += len(event.executions)
                self.errors += _n_errors(event)
                self.doing = "asks"
            case Compacted() | InvestigationResumed():
                self.doing = "asks"
            case RequestRepeated():
                self.doing = "asks again"
            case _:
                pass


class Rate:
    """How much comes per second, of late."""

    def __init__(self, began: float) -> None:
        """Count from `began` on."""
        self._began = began
        self._lately: deque[tuple[float, int]] = deque()
        self._n_lately = 0

    def add(self, time: float, n: int) -> None:
        """Take `n` more."""
        if time >= self._began:
            self._lately.append((time, n))
            self._n_lately += n

    def per_s(self, now: float) -> float:
        """Return the rate at `now`."""
        while self._lately and self._lately[0][0] < now - _RATE_OVER_S:
            self._n_lately -= self._lately.popleft()[1]
        return self._n_lately / max(1.0, min(_RATE_OVER_S, now - self._began))


class Tally:
    """Counts of one model so far."""

    def __init__(self, planned: Mapping[str, int], began: float) -> None:
        """Begin at zero, with so many investigations to do of each phase in `planned`."""
        self.n_planned = sum(planned.values())
        self.left = Counter(planned)
        """Phase -> investigations that have not ended."""
        self.courses: dict[str, Course] = {}
        """Those that run, oldest first."""
        self.ended: Counter[str] = Counter()
        """Stop reason -> investigations."""
        self.turns = 0
        self.blocks = 0
        self.errors = 0
        self.usage = Usage()
        self.repeated = 0
        """Requests that were sent again."""
        self.trouble = ""
        """What the last of them met."""
        self.loads: dict[str, LoadSeen] = {}
        """URL -> what was last seen of the server there."""
        self.token_rate = Rate(began)
        self.turn_rate = Rate(began)
        self._lengths: dict[str, list[int]] = {}
        """Phase -> turns of those that ended."""

    def take(self, case: Investigation, event: Event) -> None:
        """Count one event of an investigation that runs."""
        course = self.courses.setdefault(case.id, Course(case, event.time))
        course.take(event)
        match event:
            case CompletionReceived() | Compacted():
                self.usage += event.completion.usage
                self.token_rate.add(event.time, event.completion.usage.completion_tokens)
            case TurnEnded():
                self.turns += 1
                self.turn_rate.add(event.time, 1)
                self.blocks += len(event.executions)
                self.errors += _n_errors(event)
            case RequestRepeated():
                self.repeated += 1
                self.trouble = event.detail
            case _:
                pass

    def end(self, case: Investigation, reason: str) -> None:
        """Count the end of an investigation."""
        self.ended[reason] += 1
        self.left[case.phase] -= 1
        course = self.courses.pop(case.id, None)
        self._lengths.setdefault(case.phase, []).append(course.turns if course else 0)

    def turns_left(self, most: Mapping[str, int]) -> float:
        """Return about how many turns are left to be made.

        Of each investigation as many are expected as those of its phase that ended had in the
        mean; `most`, while none has.
        """
        expected = sum(
            n * (sum(lengths) / len(lengths) if lengths else most.get(phase, 0))
            for phase, n in self.left.items()
            for lengths in [self._lengths.get(phase, [])]
        )
        return max(0.0, expected - sum(course.turns for course in self.courses.values()))


def _n_errors(event: TurnEnded) -> int:
    return sum(execution.error is not None for execution in event.executions)
