"""From which turn on two arms behave differently. Pure.

In every turn, every behaviour is compared within units. Where arms are the same, the signs of a
unit's differences are chance, all of them together; so the largest of all test figures under all
signs is what chance can do (P. Westfall and S. Young, Resampling-Based Multiple Testing, 1993,
max-T). What chance reaches in at most 5 of 100 cases is a difference, however many turns and
behaviours were looked at. The first such turn is the one at which the arms have parted at the
latest. Going back from there, the interval begins behind the first turn whose difference is smaller
(t test within units, one-sided). Turn and behaviour were chosen because the difference is large
there, so that its limit is that of all pairs of turns in all behaviours together (Bonferroni).
Where several pairs of arms are looked at, both are adjusted for their number as well.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import msgspec
import numpy as np

from engine.compare.cases import Case, Groups, Sides
from engine.compare.estimate import LEAST_UNITS, LEVEL, Array
from engine.compare.exchange import signs
from engine.compare.result import Example, Separation
from engine.compare.student import quantile
from engine.compare.turns import TurnCounts

_AT_ONCE = 256
_ROUNDING = 1e-9
_MODULES = (
    *("architecture", "weights", "activations", "temporal", "attention"),
    *("gradient", "history", "memory", "generation", "heritage"),
)


class Feature(msgspec.Struct, frozen=True):
    """What is compared in one turn: zero in turns that did not take place, NaN where unknown."""

    name: str
    label: str
    of: Callable[[TurnCounts], float]


def _tokens(turn: TurnCounts) -> float:
    return turn.completion_tokens if turn.has_token_counts else math.nan


def _uses(module: str) -> Feature:
    def of(turn: TurnCounts) -> float:
        return any(name.startswith(f"{module}.") for name in turn.functions)

    return Feature(f"uses_{module}", f"use of introspection.{module}", of)


_IN_EVERY_PHASE = (
    Feature("goes_on", "whether it goes on", lambda _: 1.0),
    Feature("code_blocks", "code blocks executed", lambda turn: turn.code_blocks),
    Feature("errors", "execution errors", lambda turn: turn.errors),
    Feature("calls", "introspection calls", lambda turn: turn.calls),
    Feature("tokens", "tokens written", _tokens),
    Feature("help", "use of help() or dir()", lambda turn: turn.help_blocks > 0),
    Feature("repeats", "repetition", lambda turn: turn.is_repeat),
)
FEATURES = (*_IN_EVERY_PHASE, *map(_uses, _MODULES))


class Parting(NamedTuple):
    """A difference beyond chance."""

    turn: int
    feature: int
    p: float
    earliest: int
    """Before this turn the difference is smaller."""


def separation_of(sides: Sides, *, n_pairs: int = 1) -> Separation:
    """Return where the two sides part, which are one of `n_pairs` that are looked at."""
    least = max(LEAST_UNITS, _least_units(n_pairs))
    if len(sides.first) < least:
        return _nowhere(f"Where they part cannot be told from fewer than {least} units.")
    differences = _differences(sides)
    found = parting_of(differences, n_pairs=n_pairs)
    if found is None:
        return _nowhere("At no turn do they behave differently by more than chance.")
    feature = FEATURES[found.feature]
    return Separation(
        turn=found.turn,
        interval=(found.earliest, found.turn),
        behaviour=feature.name,
        label=feature.label,
        p=found.p,
        example=_example(sides, found, differences),
        words=_words(found, feature),
    )


def _least_units(n_pairs: int) -> int:
    """Return from how many units on the rarest signs, all the same, are rare enough."""
    return 1 + math.ceil(math.log2(n_pairs / (1 - LEVEL)))


def parting_of(differences: Array, *, n_pairs: int = 1) -> Parting | None:
    """Return the first difference beyond chance; shape (units, turns, features)."""
    if not differences.size:
        return None
    n_units, n_turns, n_features = differences.shape
    flat = differences.reshape(n_units, -1)
    scale = np.sqrt(n_units * (flat**2).sum(axis=0))
    scaled = np.divide(flat, scale, out=np.zeros_like(flat), where=scale > 0)
    figures = np.abs(scaled.sum(axis=0))
    chance = np.sort(_largest_by_chance(scaled))
    below = cast("Array", np.searchsorted(chance, figures - _ROUNDING)) / chance.size
    ps = np.where(figures > 0, 1 - below, 1.0)
    table = np.minimum(1.0, ps * n_pairs).reshape(n_turns, n_features)
    turns = np.flatnonzero((table <= 1 - LEVEL).any(axis=1))
    if not turns.size:
        return None
    turn, feature = int(turns[0]), int(table[turns[0]].argmin())
    limit = _limit(differences.shape, n_pairs)
    earliest = _earliest(differences[:, : turn + 1, feature], limit)
    return Parting(turn, feature, float(table[turn, feature]), earliest)


def _largest_by_chance(scaled: Array) -> Array:
    """Return the largest figure under every choice of signs, or under many drawn ones."""
    every = signs(len(scaled))
    parts = [
        np.abs(every[start : start + _AT_ONCE] @ scaled).max(axis=1)
        for start in range(0, len(every), _AT_ONCE)
    ]
    return np.concatenate(parts)


def _limit(shape: tuple[int, ...], n_pairs: int) -> float:
    """Return how many standard errors one turn's difference must be above another's."""
    n_units, n_turns, n_features = shape
    n_chosen_from = n_pairs * n_features * max(1, math.comb(n_turns, 2))
    return quantile(1 - (1 - LEVEL) / n_chosen_from, n_units - 1)


def _earliest(differences: Array, limit: float) -> int:
    """Return the first turn whose difference is not shown to be smaller than that of the last turn.

    Shape (units, turns): one feature, up to the turn where it is beyond chance.
    """
    n_units, n_turns = differences.shape
    last = differences[:, -1]
    direction = 1.0 if last.mean() > 0 else -1.0
    for turn in range(n_turns - 2, -1, -1):
        growth = direction * (last - differences[:, turn])
        error = growth.std(ddof=1) / math.sqrt(n_units)
        if growth.mean() > limit * error + _ROUNDING:
            return turn + 1
    return 0


def _differences(sides: Sides) -> Array:
    """Return second minus first, averaged within units; shape (units, turns, features)."""
    every = [case for groups in (sides.first, sides.second) for group in groups for case in group]
    n_turns = max(len(case.turns) for case in every)
    units = zip(sides.first, sides.second, strict=True)
    return np.array(
        [
            np.mean([_difference(*pair, n_turns) for pair in zip(*unit, strict=True)], 0)
            for unit in units
        ]
    )


def _difference(first: Case, second: Case, n_turns: int) -> Array:
    """Return it for one pair; none in turns that one has from another run, or is unknown in."""
    found = np.nan_to_num(_table(second, n_turns) - _table(first, n_turns))
    found[: max(first.first_own_turn, second.first_own_turn)] = 0.0
    return found


def _table(case: Case, n_turns: int) -> Array:
    table = np.zeros((n_turns, len(FEATURES)))
    for place, turn in enumerate(case.turns):
        table[place] = [feature.of(turn) for feature in FEATURES]
    return table


def _example(sides: Sides, found: Parting, differences: Array) -> Example:
    """Return the pair that differs most in the direction in which the arms differ."""
    mean = differences[:, found.turn, found.feature].mean()
    pairs = list(zip(_flat(sides.first), _flat(sides.second), strict=True))

    def size(pair: tuple[Case, Case]) -> float:
        if any(found.turn < case.first_own_turn for case in pair):
            return 0.0
        first, second = (_value(case, found) for case in pair)
        return (second - first) * (1 if mean > 0 else -1)

    first, second = max(pairs, key=size)
    return Example(
        phase=first.measures.phase,
        replicate=first.measures.replicate,
        first=first.measures.investigation,
        second=second.measures.investigation,
        turn=found.turn,
    )


def _flat(groups: Groups) -> Sequence[Case]:
    return [case for group in groups for case in group]


def _value(case: Case, found: Parting) -> float:
    is_there = found.turn < len(case.turns)
    return FEATURES[found.feature].of(case.turns[found.turn]) if is_there else 0.0


def _words(found: Parting, feature: Feature) -> str:
    first, last = found.earliest + 1, found.turn + 1
    between = f"between turn {first} and turn {last}" if first < last else f"at turn {last}"
    return f"They part {between} (95 % confidence), most in: {feature.label}."


def _nowhere(words: str) -> Separation:
    return Separation(
        turn=None, interval=None, behaviour=None, label=None, p=None, example=None, words=words
    )
