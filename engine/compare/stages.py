"""How many replicates a comparison needs, told from a first stage (Stein, see `estimate`). Pure."""

from collections.abc import Sequence
from itertools import combinations, product

import msgspec

from engine.compare.cases import Case, Question, beside, exclusion_of, units_of
from engine.compare.catalogue import named
from engine.compare.estimate import n_telling
from engine.compare.power import n_second_stage

N_FIRST = 10
"""Replicates of a first stage at least: its spread decides how many there will be."""


class Need(msgspec.Struct, frozen=True):
    """What the first stage says."""

    replicates: int
    """In all, those of the first stage included."""
    wanted: int
    """The same, were there no limit."""
    n_telling: int
    """Replicates of the first stage with something to measure by in both arms, in the phase with
    the fewest. 0: `wanted` says nothing. Below `engine.compare.estimate.LEAST_UNITS`: `wanted`
    are those that so many of them can be expected of."""


def need(cases: Sequence[Case], question: Question, *, mde: float, most: int) -> Need:
    """Return how many replicates find a difference of `mde` in every phase, at most `most`.

    All pairs of arms in all phases are tested together, so that more of them need more. Only how
    far the pairs of the first stage scatter counts, never what they show.
    """
    n_first = question.n_first or 0
    kept = [
        case for case in cases if exclusion_of(case) is None and case.measures.replicate < n_first
    ]
    arms = [*combinations(question.arms, 2), *((arm, twin) for twin, arm in question.twins.items())]
    pairs = arms[: max(1, len(arms) - len(question.twins))]
    measure = named(question.primary)
    found = [
        units_of(beside(_in(kept, phase), pair, in_phases=False), measure.ratio)
        for pair, phase in product(pairs, question.phases)
    ]
    wanted = max(
        n_first
        - len(units.sums)
        + n_second_stage(units, mde, bound=measure.bound, n_tests=len(found))
        for units in found
    )
    return Need(
        replicates=max(n_first, min(wanted, most)),
        wanted=wanted,
        n_telling=min(n_telling(units.sums) for units in found),
    )


def _in(cases: Sequence[Case], phase: str) -> list[Case]:
    return [case for case in cases if case.measures.phase == phase]
