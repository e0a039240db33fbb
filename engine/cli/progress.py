"""How far a run is: a tally per model, taken from events alone."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from engine.cli.tallies import Course, Tally
from engine.events import AnyEvent, Event, InvestigationEnded, LoadSeen
from engine.forecast import Seen
from engine.phase import Phase
from engine.transcript import Investigation


class Progress:
    """Tallies of all models of a run."""

    def __init__(
        self, cases: Sequence[Investigation], started: float, phases: Iterable[Phase] = ()
    ) -> None:
        """Begin at zero with `cases` to do; `started` is seconds since the epoch."""
        self.started = started
        self.n_planned = len(cases)
        self._cases = {case.id: case for case in cases}
        self._limits = {
            phase.key: {each.name: each.max_turns if each.has_code else 1 for each in stages}
            for phase in phases
            for stages in [phase.experiments]
        }
        planned: dict[str, Counter[str]] = {}
        for case in cases:
            planned.setdefault(case.model, Counter())[case.phase] += 1
        self.tallies = {model: Tally(counts, started) for model, counts in planned.items()}

    def recall(self, recorded: Mapping[str, Iterable[AnyEvent]]) -> None:
        """Count what is recorded of the investigations that are taken up again."""
        for name in self._cases.keys() & recorded.keys():
            for event in recorded[name]:
                if not isinstance(event, InvestigationEnded):
                    self.take(event)

    def take(self, event: Event) -> None:
        """Count one event."""
        case = self._cases.get(getattr(event, "investigation", ""))
        if isinstance(event, LoadSeen):
            if event.model in self.tallies:  # an arm that is done with is served all the same
                self.tallies[event.model].loads[event.url] = event
        elif case and isinstance(event, InvestigationEnded):
            self.tallies[case.model].end(case, event.stop_reason)
        elif case:
            self.tallies[case.model].take(case, event)

    @property
    def n_ended(self) -> int:
        """Investigations that have ended."""
        return sum(tally.ended.total() for tally in self.tallies.values())

    def left_s(self, model: str, now: float) -> float | None:
        """Return about how many seconds the model still needs; None while that cannot be told."""
        tally = self.tallies[model]
        most = {phase: sum(limits.values()) for phase, limits in self._limits.items()}
        turns, per_s = tally.turns_left(most), tally.turn_rate.per_s(now)
        if not turns or not tally.left.total():
            return 0.0
        return turns / per_s if per_s else None

    def seen(self, model: str, now: float) -> Seen:
        """Return how far the model is."""
        tally = self.tallies[model]
        n_left = tally.left.total()
        most = {phase: sum(limits.values()) for phase, limits in self._limits.items()}
        return Seen(
            turns_per_s=tally.turn_rate.per_s(now),
            n_turns=tally.turns,
            n_ended=tally.ended.total(),
            n_left=n_left,
            n_turns_under_way=sum(course.turns for course in tally.courses.values()),
            most_turns=sum(n * most.get(phase, 1) for phase, n in tally.left.items())
            / max(1, n_left),
        )

    def turn_of(self, course: Course) -> str:
        """Return which turn of its experiment a course is in, and how many that can have."""
        turn = course.turns - course.opened_at + 1
        limit = self._limits.get(course.case.phase, {}).get(course.experiment)
        return f"{min(turn, limit)}/{limit}" if limit else f"{turn}"
