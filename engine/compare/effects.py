"""Every measure in a pair of arms: what was seen, adjusted, and judged. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from statistics import fmean
from typing import NamedTuple

from msgspec.structs import replace

from engine.compare.cases import Groups, Question, Sides, sums, units_of
from engine.compare.catalogue import MEASURES, Measure
from engine.compare.definitions import DEFINITIONS
from engine.compare.estimate import LEAST_UNITS, Estimate, Units, estimate, interval_of
from engine.compare.judgement import judge, margin_of
from engine.compare.result import ArmValue, Effect, NoiseFloor, Result, Unit
from engine.compare.significance import effect_of, holm
from engine.compare.words import sentence

Family = tuple[object, ...]
"""Measures that are looked at together have equal families."""


class Seen(NamedTuple):
    """One measure in a pair of arms, before it is judged beside the others."""

    measure: Measure
    sides: Sides
    found: Estimate
    effect: Effect
    family: Family
    is_primary: bool
    is_shared: bool
    margin: float | None
    """Settled before the run; None: as for all measures."""

    @property
    def is_tested(self) -> bool:
        """Whether chance is asked about it: it is of the models, and seen often enough."""
        return not self.is_shared and self.found.n_units >= LEAST_UNITS


def seen_in(sides: Sides, question: Question, place: int, *, is_noise: bool) -> tuple[Seen, ...]:
    """Return every measure that there is something to measure by, the primary one first.

    `place` of the scope: the first one is the answer, the others are looked at together.
    """
    ordered = sorted(MEASURES, key=lambda measure: measure.name != question.primary)
    found: list[Seen] = []
    for measure in ordered:
        is_primary = measure.name == question.primary
        if is_primary or _is_measured(measure, sides):
            units = units_of(sides, measure.ratio)
            estimated = estimate(units if is_primary else Units(units.sums))
            seen = Seen(
                measure=measure,
                sides=sides,
                found=estimated,
                effect=effect_of(estimated, bound=measure.bound),
                family=(is_noise, is_primary, min(place, 1) if is_primary else place),
                is_primary=is_primary,
                is_shared=measure.is_speed and question.is_shared,
                margin=question.wanted if is_primary else None,
            )
            found.append(seen)
    return tuple(found)


def _is_measured(measure: Measure, sides: Sides) -> bool:
    below = measure.ratio[1]
    every = chain.from_iterable((*sides.first, *sides.second))
    return any(below(case.measures) for case in every)


def adjusted(every: Sequence[Seen]) -> tuple[float | None, ...]:
    """Return the p of each, adjusted within its family; None: it is not tested."""
    families: dict[Family, list[int]] = {}
    for place, seen in enumerate(every):
        if seen.effect.p is not None and seen.is_tested:
            families.setdefault(seen.family, []).append(place)
    found: dict[int, float] = {}
    for places in families.values():
        ps = [every[place].effect.p or 0.0 for place in places]
        found |= zip(places, holm(ps), strict=True)
    return tuple(found.get(place) for place in range(len(every)))


Floors = Mapping[str, Mapping[str, NoiseFloor]]
"""Arm -> measure -> what it differs from itself by."""


def floors_of(every: Iterable[Seen]) -> dict[str, dict[str, NoiseFloor]]:
    """Return the noise floors that pairs of an arm and its twin show."""
    found: dict[str, dict[str, NoiseFloor]] = {}
    for seen in every:
        arm, twin = seen.sides.arms
        interval = seen.effect.interval
        found.setdefault(arm, {})[seen.measure.name] = NoiseFloor(
            arm=arm,
            twin=twin,
            difference=seen.effect.difference,
            interval=interval,
            floor=max(abs(interval.low), abs(interval.high)) if interval else None,
        )
    return found


def result_of(
    seen: Seen, p_holm: float | None, floors: Floors, unit: Unit, *, is_whole: bool
) -> Result:
    """Return one measure in a pair of arms, judged; `is_whole`: no investigation is left out."""
    measure, sides, n_units = seen.measure, seen.sides, len(seen.sides.first)
    first, second = (
        _arm_value(arm, groups, measure)
        for arm, groups in zip(sides.arms, (sides.first, sides.second), strict=True)
    )
    margin = seen.margin or margin_of(measure, (first.value, second.value))
    verdict = judge(
        seen.effect,
        n_units=n_units,
        n_telling=seen.found.n_units,
        error=float(seen.found.within(measure.bound).error),
        p=p_holm,
        margin=margin,
    )
    result = Result(
        measure=measure.name,
        label=measure.label,
        definition=DEFINITIONS[measure.name],
        unit=measure.unit,
        is_share=measure.is_share,
        is_primary=seen.is_primary,
        is_shared=seen.is_shared,
        first=first,
        second=second,
        n_units=n_units,
        n_telling=seen.found.n_units,
        n_pairs=sides.n_pairs,
        effect=seen.effect,
        p_holm=p_holm,
        margin=margin,
        verdict="not compared" if seen.is_shared else verdict.word,
        n_more=None if seen.is_shared else verdict.n_more,
        words="",
        noise=tuple(
            floors[arm][measure.name]
            for arm in sides.arms
            if measure.name in floors.get(arm, {}) and not _is_noise(sides, floors)
        ),
        without_harness=_without_harness(seen),
    )
    return replace(result, words=sentence(result, unit, is_whole=is_whole))


def _is_noise(sides: Sides, floors: Floors) -> bool:
    first, second = sides.arms
    return any(floor.twin == second for floor in floors.get(first, {}).values())


def _arm_value(arm: str, groups: Groups, measure: Measure) -> ArmValue:
    found = estimate(Units(sums(groups, measure.ratio)))
    value = float(found.value)
    every = list(chain.from_iterable(groups))
    return ArmValue(
        arm=arm,
        value=None if math.isnan(value) else value,
        interval=interval_of(found, bound=measure.bound, least=0.0),
        n_investigations=len(every),
        censored_share=fmean(case.measures.is_censored for case in every) if every else 0.0,
    )


def _without_harness(seen: Seen) -> Effect | None:
    every = chain.from_iterable((*seen.sides.first, *seen.sides.second))
    if seen.measure.own is None or not any(case.measures.harness_errors for case in every):
        return None
    found = estimate(Units(units_of(seen.sides, seen.measure.own).sums))
    return effect_of(found, bound=seen.measure.bound)
