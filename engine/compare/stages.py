"""How many replicates a comparison needs, told from a first stage (Stein, see `estimate`). Pure."""

from collections.abc import Sequence
from itertools import combinations, product

import msgspec

from engine.compare.cases import Case, Question, beside, exclusion_of, units_of
from engine.compare.catalogue import named
from engine.compare.estimate import n_second_stage

N_FIRST = 10
"""Replicates of a first stage at least: its spread decides how many there will be."""


class Need(msgspec.Struct, frozen=True):
    """What the first stage says."""

    replicates: int
    """In all, those of the first stage included."""
    wanted: int
    """The same, were there no limit."""


def need(cases: Sequence[Case], question: Question, *, mde: float, most: int) -> Need:
    """Return how many replicates find a difference of `mde` in every phase, at most `most`.

    Only how far the pairs of the first stage scatter counts, never what they show.
    """
    n_first = question.n_first or 0
    kept = [
        case for case in cases if exclusion_of(case) is None and case.measures.replicate < n_first
    ]
    arms = [*combinations(question.arms, 2), *((arm, twin) for twin, arm in question.twins.items())]
    pairs = arms[: max(1, len(arms) - len(question.twins))]
    ratio = named(question.primary).ratio
    wanted = n_first
    for (first, second), phase in product(pairs, question.phases):
        in_phase = [case for case in kept if case.measures.phase == phase]
        units = units_of(beside(in_phase, (first, second), in_phases=False), ratio)
        n_lost = n_first - len(units.sums)
        wanted = max(wanted, n_lost + n_second_stage(units, mde))
    return Need(max(n_first, min(wanted, most)), wanted)
