"""What is followed from turn to turn. Pure."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from engine.compare.cases import Groups
from engine.compare.estimate import Array, Units, estimate, interval_of
from engine.compare.result import Point, Series
from engine.compare.turns import TurnCounts

Amount = Callable[[TurnCounts], float]


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of one turn: the ratio of what is summed above and below."""

    name: str
    label: str
    unit: str
    above: Amount
    below: Amount
    is_share: bool = False


def _one(_: TurnCounts) -> float:
    return 1.0


def _mean(name: str, label: str, unit: str, above: Amount) -> Behaviour:
    return Behaviour(name=name, label=label, unit=unit, above=above, below=_one)


def _share(name: str, label: str, above: Amount, below: Amount = _one) -> Behaviour:
    return Behaviour(name=name, label=label, unit="share", above=above, below=below, is_share=True)


BEHAVIOURS = (
    _mean("code_blocks", "code blocks executed", "blocks", lambda turn: turn.code_blocks),
    _share(
        "errors",
        "execution errors per code block",
        lambda turn: turn.errors,
        lambda turn: turn.code_blocks,
    ),
    _mean("calls", "introspection calls", "calls", lambda turn: turn.calls),
    _mean("findings", "findings stored", "findings", lambda turn: turn.findings_written),
    Behaviour(
        name="tokens",
        label="tokens written",
        unit="tokens",
        above=lambda turn: turn.completion_tokens,
        below=lambda turn: turn.has_token_counts,
    ),
    _mean("seconds", "seconds waiting for the model", "s", lambda turn: turn.model_s),
    _share("help", "turns that call help() or dir()", lambda turn: turn.help_blocks > 0),
    _share("repeats", "turns that repeat earlier ones", lambda turn: turn.is_repeat),
    _share("silent", "turns without executed code", lambda turn: turn.is_silent),
)


def series_of(arm: str, groups: Groups) -> tuple[Series, ...]:
    """Return every behaviour of one arm, turn by turn, over the investigations that came so far.

    Turns that a fork has from another run are left out.
    """
    n_turns = max((len(case.turns) for group in groups for case in group), default=0)
    present = [_present(groups, turn) for turn in range(n_turns)]
    return tuple(
        Series(
            arm=arm,
            behaviour=each.name,
            label=each.label,
            unit=each.unit,
            is_share=each.is_share,
            points=tuple(
                point
                for turn, units in enumerate(present)
                if units and (point := _point(each, turn, units)) is not None
            ),
        )
        for each in BEHAVIOURS
    )


def _present(groups: Groups, turn: int) -> list[list[TurnCounts]]:
    """Return what happened in a turn, by unit; units that did not come so far are left out."""
    found = [
        [case.turns[turn] for case in group if case.first_own_turn <= turn < len(case.turns)]
        for group in groups
    ]
    return [unit for unit in found if unit]


def _point(behaviour: Behaviour, turn: int, units: Sequence[Sequence[TurnCounts]]) -> Point | None:
    found = estimate(Units(_sums(behaviour, units)))
    mean = float(found.value)
    if np.isnan(mean):
        return None
    return Point(
        turn=turn,
        n=sum(map(len, units)),
        mean=mean,
        interval=interval_of(found, bound=1.0 if behaviour.is_share else None, least=0.0),
    )


def _sums(behaviour: Behaviour, units: Sequence[Sequence[TurnCounts]]) -> Array:
    rows = [
        (sum(map(behaviour.above, unit)) / len(unit), sum(map(behaviour.below, unit)) / len(unit))
        for unit in units
    ]
    return np.array(rows, float)
