"""What a comparison looks at: investigations that count, in pairs and in units. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import NamedTuple

import msgspec
import numpy as np

from engine.compare.catalogue import Ratio
from engine.compare.estimate import Array, Units
from engine.compare.measures import Measures
from engine.compare.own_turns import first_own_turn
from engine.compare.result import Exclusion, Reason
from engine.compare.turns import TurnCounts
from engine.transcript import Transcript


class Case(NamedTuple):
    """One investigation, and what was counted in it."""

    transcript: Transcript
    turns: tuple[TurnCounts, ...]
    """All of them, by their place in the investigation."""
    measures: Measures

    @property
    def first_own_turn(self) -> int:
        """Place of the first turn that is no other run's."""
        return first_own_turn(self.transcript)

    @property
    def arm(self) -> str:
        """The model that investigated."""
        return self.measures.model

    @property
    def place(self) -> tuple[str, int]:
        """Phase and replicate: what it has in common with its partners in other arms."""
        return self.measures.phase, self.measures.replicate


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be compared, as it was settled before the run."""

    arms: tuple[str, ...]
    """In the order of the study; twins are none."""
    twins: Mapping[str, str] = {}
    """Twin -> the arm whose model it is."""
    phases: tuple[str, ...]
    primary: str
    n_first: int | None = None
    """Replicates of the first stage; None: their number was settled before."""
    wanted: float | None = None
    """Difference of the primary measure that is to be found; a smaller one counts as none."""
    is_shared: bool = False
    """The models had one machine at the same time."""


Groups = tuple[tuple[Case, ...], ...]
"""Investigations of one arm, by unit."""


def by_unit(cases: Iterable[Case], *, in_phases: bool) -> Groups:
    """Return `cases` in units: those of a phase together, or those of a seed within it.

    Forks of one investigation have its seed, and a beginning, in common: they are no independent
    observations, however many there are.
    """
    ordered = sorted(cases, key=lambda case: case.place)

    def unit_of(case: Case) -> tuple[str, int | None]:
        return case.measures.phase, None if in_phases else case.transcript.investigation.seed

    return tuple(tuple(group) for _, group in groupby(ordered, key=unit_of))


class Sides(NamedTuple):
    """The investigations that two arms both have: equal places, in the same order."""

    arms: tuple[str, str]
    first: Groups
    second: Groups
    n_first_units: int | None = None
    """Units of the first stage; None: there was one stage."""

    @property
    def n_pairs(self) -> int:
        """Pairs of investigations."""
        return sum(map(len, self.first))


def beside(
    cases: Sequence[Case], arms: tuple[str, str], *, in_phases: bool, n_first: int | None = None
) -> Sides:
    """Return what both `arms` have; `n_first`: replicates of the first stage."""
    first, second = ({each.place: each for each in cases if each.arm == arm} for arm in arms)
    shared = first.keys() & second.keys()
    n_early = None if n_first is None else sum(replicate < n_first for _, replicate in shared)
    return Sides(
        arms,
        by_unit((first[place] for place in shared), in_phases=in_phases),
        by_unit((second[place] for place in shared), in_phases=in_phases),
        None if in_phases else n_early,
    )


def sums(groups: Groups, ratio: Ratio) -> Array:
    """Return what is above and below the line in each unit, averaged over its investigations.

    Shape (units, 2).
    """
    above, below = ratio
    rows = [
        (
            fmean(above(case.measures) for case in group),
            fmean(below(case.measures) for case in group),
        )
        for group in groups
    ]
    return np.array(rows, float).reshape(-1, 2)


def units_of(sides: Sides, ratio: Ratio) -> Units:
    """Return both arms' sums in each unit."""
    both = [sums(sides.first, ratio), sums(sides.second, ratio)]
    return Units(np.concatenate(both, axis=-1), sides.n_first_units)


def exclusion_of(case: Case) -> Exclusion | None:
    """Return why an investigation is in no figure; None: it counts."""
    item = case.measures
    if item.stop_reason is None:
        return _left_out(case, "unfinished", "it has no end yet")
    if item.is_infrastructure:
        return _left_out(case, "infrastructure", f"{item.stop_reason}: {item.detail}")
    if item.leaks:
        leak = item.leaks[0]
        return _left_out(case, "impure", f"it saw {leak.found!r} ({leak.place})")
    return None


def without_partner(
    cases: Sequence[Case], arms: Sequence[str], twins: Mapping[str, str]
) -> tuple[Exclusion, ...]:
    """Return those of `cases` that another of the `arms`, or an arm's twin, has no partner for."""
    places = {arm: {each.place for each in cases if each.arm == arm} for arm in (*arms, *twins)}
    partners: dict[str, tuple[str, ...]] = {twin: (arm,) for twin, arm in twins.items()}
    for arm in arms:
        partners[arm] = (*arms, *(twin for twin, whose in twins.items() if whose == arm))
    return tuple(
        _left_out(case, "without a partner", f"not in {', '.join(missing)}")
        for case in cases
        if (missing := [arm for arm in partners[case.arm] if case.place not in places[arm]])
    )


def _left_out(case: Case, reason: Reason, detail: str) -> Exclusion:
    return Exclusion(
        investigation=case.measures.investigation, arm=case.arm, reason=reason, detail=detail
    )
