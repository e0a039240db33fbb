"""What came of investigations: counts from recorded events, never from words. Pure."""

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from engine.events import Event, ExperimentEnded, TurnEnded
from engine.transcript import Execution, StopReason

_FIGURE = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?|\d{3,}")
"""Figures long enough not to be right by chance."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Counts over one or more investigations."""

    n_experiments: int = 0
    n_done: int = 0
    """Experiments that ended by the model's own signal."""
    n_blocks: int = 0
    n_parsed: int = 0
    n_ran: int = 0
    n_figures: int = 0
    """Figures written out in stored findings."""
    n_right_figures: int = 0
    """Those of them that an earlier output shows."""
    n_turns: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        """Return the counts of both."""
        names = [each.name for each in fields(self)]
        return Outcome(**{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def parsed(self) -> float:
        """Share of code blocks that are Python."""
        return self.n_parsed / max(1, self.n_blocks)

    @property
    def ran(self) -> float:
        """Share of code blocks that run without an error."""
        return self.n_ran / max(1, self.n_blocks)

    @property
    def done(self) -> float:
        """Share of experiments that end by the signal."""
        return self.n_done / max(1, self.n_experiments)

    @property
    def right(self) -> float:
        """Share of figures in findings that were really printed before."""
        return self.n_right_figures / max(1, self.n_figures)


def outcome(events: Iterable[Event], *, n_experiments: int) -> Outcome:
    """Count one investigation of a phase with `n_experiments`."""
    events = list(events)
    turns = [event for event in events if isinstance(event, TurnEnded)]
    ends = [event.stop_reason for event in events if isinstance(event, ExperimentEnded)]
    executions = [execution for turn in turns for execution in turn.executions]
    n_unread = sum(turn.action == "malformed" for turn in turns)
    n_figures, n_right_figures = _figures(executions)
    return Outcome(
        n_experiments=n_experiments,
        n_done=sum(end is StopReason.COMPLETED for end in ends),
        n_blocks=len(executions) + n_unread,
        n_parsed=sum(_parses(execution.code) for execution in executions),
        n_ran=sum(execution.error is None for execution in executions),
        n_figures=n_figures,
        n_right_figures=n_right_figures,
        n_turns=len(turns),
    )


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True


def _figures(executions: Sequence[Execution]) -> tuple[int, int]:
    n_figures = n_right = 0
    shown = ""
    for execution in executions:
        for figure in _stored_figures(execution):
            n_figures += 1
            n_right += re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.]*\d)", shown) is not None
        shown += execution.output
    return n_figures, n_right


def _stored_figures(execution: Execution) -> list[str]:
    """Return the figures of findings whose words stand in the code as they were stored."""
    texts = (
        str(call.arguments.get("description", ""))
        for call in execution.calls
        if call.method == "memory.record_observation"
    )
    return [figure for text in texts if text in execution.code for figure in _FIGURE.findall(text)]
