"""Still productive at turn t: how long investigations go on with code that runs. Pure.

An investigation is productive until its last turn with an execution that ran to its end. Where a
limit ended it and that was its very last turn, it is censored: what would have come is not known.
Where a limit ended it in barren turns it is not: within its budget it had ended being productive,
and arms that go on without success until a limit would seem productive for good. The estimate is
Kaplan and Meier's (J. Amer. Statist. Assoc. 53, 1958), with Greenwood's error on the scale of
log(-log) where seeds are the units, and with the jackknife over phases where these are.
"""

import math
from collections.abc import Sequence
from itertools import chain
from statistics import NormalDist

import numpy as np
from msgspec.structs import replace

from engine.compare.cases import Case, Groups
from engine.compare.estimate import LEVEL
from engine.compare.result import Interval, Step, Survival
from engine.compare.student import quantile

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
Life = tuple[int, bool]
"""Turns until the last productive one, and whether that is the end."""


def life_of(case: Case) -> Life:
    """Return how long an investigation was productive; not the end: a limit came while it was.

    A fork was productive until its first own turn: else there had been nothing to fork.
    """
    first = case.first_own_turn
    own = enumerate(case.turns[first:], first)
    ran = [place for place, turn in own if turn.code_blocks > turn.errors]
    length = ran[-1] + 1 if ran else first
    return length, not (case.measures.is_cut_off and length == len(case.turns))


def survival_of(arm: str, groups: Groups) -> Survival:
    """Return the curve of one arm; several investigations in a unit: units are phases."""
    lives = [[life_of(case) for case in group] for group in groups]
    steps = kaplan_meier(list(chain.from_iterable(lives)))
    if any(len(unit) > 1 for unit in lives):
        steps = _with_jackknife(steps, lives)
    return Survival(arm=arm, steps=steps)


def kaplan_meier(lives: Sequence[Life]) -> tuple[Step, ...]:
    """Return the steps of the curve, from turn 0 on; none where there are no lives."""
    steps: list[Step] = []
    share, greenwood, n_at_risk = 1.0, 0.0, len(lives)
    for turn in sorted({0, *(length for length, _ in lives)}) if lives else ():
        ended = sum(length == turn and is_end for length, is_end in lives)
        censored = sum(length == turn and not is_end for length, is_end in lives)
        if ended:
            share *= 1 - ended / n_at_risk
            left = n_at_risk - ended
            greenwood += ended / (n_at_risk * left) if left else math.inf
        steps.append(
            Step(
                turn=turn,
                n_at_risk=n_at_risk,
                n_ended=ended,
                n_censored=censored,
                share=share,
                interval=_interval(share, greenwood),
            )
        )
        n_at_risk -= ended + censored
    return tuple(steps)


def _interval(share: float, greenwood: float) -> Interval | None:
    """Return the interval; None at the ends of the scale, where there is none."""
    if not 0 < share < 1:
        return None
    half = _Z * math.sqrt(greenwood) / abs(math.log(share))
    low, high = share ** math.exp(half), share ** math.exp(-half)
    return Interval(low, high)


def share_at(steps: Sequence[Step], turn: int) -> float:
    """Return the share that is still productive at `turn`."""
    return next((step.share for step in reversed(steps) if step.turn <= turn), 1.0)


def _with_jackknife(steps: Sequence[Step], lives: Sequence[Sequence[Life]]) -> tuple[Step, ...]:
    n_units = len(lives)
    if n_units < 2:  # noqa: PLR2004 - one phase says nothing about others
        return tuple(replace(step, interval=None) for step in steps)
    without = [
        kaplan_meier([life for place, unit in enumerate(lives) if place != out for life in unit])
        for out in range(n_units)
    ]
    reach = quantile((1 + LEVEL) / 2, n_units - 1) * (n_units - 1) / math.sqrt(n_units)
    found: list[Step] = []
    for step in steps:
        spread = float(np.std([share_at(each, step.turn) for each in without], ddof=1))
        half = reach * spread
        interval = Interval(max(0.0, step.share - half), min(1.0, step.share + half))
        found.append(replace(step, interval=interval if spread else None))
    return tuple(found)
