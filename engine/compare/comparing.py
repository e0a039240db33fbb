"""Investigations of several arms -> what they say about how the arms differ. Pure."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from engine.compare.behaviour import series_of
from engine.compare.cases import (
    Case,
    Question,
    Sides,
    beside,
    by_unit,
    exclusion_of,
    without_partner,
)
from engine.compare.causes import cause_of, unknown_name
from engine.compare.effects import Floors, Seen, adjusted, floors_of, result_of, seen_in
from engine.compare.estimate import LEVEL
from engine.compare.headline import headline, notes, scope_words
from engine.compare.own_turns import own_turns
from engine.compare.replies import replies_of
from engine.compare.result import Comparison, Failures, Pair, Result, Scope, Unit
from engine.compare.separation import separation_of
from engine.compare.survival import survival_of
from engine.errors import UsageError


def compare(cases: Sequence[Case], question: Question) -> Comparison:
    """Return how the arms of `question` differ in `cases`; what does not count is left out.

    Raises:
        UsageError: a twin is that of no arm.
    """
    _check_twins(question)
    excluded = [found for case in cases if (found := exclusion_of(case)) is not None]
    kept = [case for case in cases if exclusion_of(case) is None]
    scopes = _scopes(kept, question, is_whole=not excluded)
    verdict, words = headline(scopes, question)
    return Comparison(
        primary=question.primary,
        verdict=verdict,
        words=words,
        level=LEVEL,
        arms=question.arms,
        twins=dict(question.twins),
        scopes=scopes,
        exclusions=(*excluded, *without_partner(kept, question.arms, question.twins)),
        failures=tuple(_failures(kept, arm) for arm in (*question.arms, *question.twins)),
        replies=tuple(replies_of(kept, arm, twin) for twin, arm in question.twins.items()),
        notes=notes(question, is_branched=any(case.transcript.origin for case in kept)),
    )


def _check_twins(question: Question) -> None:
    for twin, arm in question.twins.items():
        if arm not in question.arms:
            raise UsageError(
                f"manifest.json: the arm {twin!r} is said to be the twin of {arm!r}, and no arm is "
                f"called so. There are: {', '.join(question.arms)}. The file was changed by hand: "
                "restore the one that was written beside events.jsonl."
            )


class _Ground(NamedTuple):
    """The investigations of a scope, and its pairs of arms."""

    phase: str | None
    phases: tuple[str, ...]
    cases: tuple[Case, ...]
    is_whole: bool
    """No investigation is left out."""

    @property
    def unit(self) -> Unit:
        return "phase" if self.phase is None else "seed"


def _grounds(
    kept: Sequence[Case], phases: tuple[str, ...], *, is_whole: bool
) -> tuple[_Ground, ...]:
    each = tuple(
        _Ground(phase, (phase,), tuple(c for c in kept if c.measures.phase == phase), is_whole)
        for phase in phases
    )
    return each if len(phases) == 1 else (_Ground(None, phases, tuple(kept), is_whole), *each)


class _Compared(NamedTuple):
    """A pair of arms in a scope, with all that was seen in it."""

    sides: Sides
    is_noise: bool
    seen: tuple[Seen, ...]


def _scopes(kept: Sequence[Case], question: Question, *, is_whole: bool) -> tuple[Scope, ...]:
    grounds = _grounds(kept, question.phases, is_whole=is_whole)
    compared = [_compared(ground, place, question) for place, ground in enumerate(grounds)]
    every = [seen for pairs in compared for pair in pairs for seen in pair.seen]
    ps = iter(adjusted(every))
    return tuple(
        _scope(ground, pairs, question, [[next(ps) for _ in pair.seen] for pair in pairs])
        for ground, pairs in zip(grounds, compared, strict=True)
    )


def _compared(ground: _Ground, place: int, question: Question) -> list[_Compared]:
    """Return what is seen in every pair of arms, those of a model and its twin last.

    Families: the primary measure by itself, in the answer and over the phases that follow it; all
    others together, scope by scope; and the same for the noise floor.
    """
    twins = [(arm, twin) for twin, arm in question.twins.items()]
    pairs = [
        *((pair, False) for pair in combinations(question.arms, 2)),
        *((t, True) for t in twins),
    ]
    found: list[_Compared] = []
    for arms, is_noise in pairs:
        sides = beside(
            ground.cases, arms, in_phases=ground.unit == "phase", n_first=question.n_first
        )
        seen = seen_in(sides, question, place, is_noise=is_noise)
        found.append(_Compared(sides, is_noise, seen))
    return found


def _scope(
    ground: _Ground,
    compared: Sequence[_Compared],
    question: Question,
    ps: Sequence[Sequence[float | None]],
) -> Scope:
    floors = floors_of(seen for pair in compared if pair.is_noise for seen in pair.seen)
    n_noise = sum(pair.is_noise for pair in compared)
    pairs = tuple(
        _pair(
            pair,
            tuple(_results(pair, adjusted_ps, floors, ground)),
            n_beside=n_noise if pair.is_noise else len(compared) - n_noise,
        )
        for pair, adjusted_ps in zip(compared, ps, strict=True)
    )
    groups = {
        arm: by_unit(
            (case for case in ground.cases if case.arm == arm), in_phases=ground.unit == "phase"
        )
        for arm in (*question.arms, *question.twins)
    }
    return Scope(
        phase=ground.phase,
        phases=ground.phases,
        unit=ground.unit,
        words=scope_words(ground.phases, ground.unit),
        pairs=pairs,
        series=tuple(one for arm, units in groups.items() for one in series_of(arm, units)),
        survival=tuple(survival_of(arm, units) for arm, units in groups.items()),
    )


def _results(
    pair: _Compared, ps: Sequence[float | None], floors: Floors, ground: _Ground
) -> list[Result]:
    return [
        result_of(seen, p, floors, ground.unit, is_whole=ground.is_whole)
        for seen, p in zip(pair.seen, ps, strict=True)
    ]


def _pair(pair: _Compared, results: tuple[Result, ...], *, n_beside: int) -> Pair:
    """Return what is shown of a pair; `n_beside`: pairs like it in its scope, itself included."""
    first, second = pair.sides.arms
    return Pair(
        first=first,
        second=second,
        is_noise=pair.is_noise,
        verdict=results[0].verdict,
        words=results[0].words,
        results=results,
        separation=separation_of(pair.sides, n_pairs=n_beside),
    )


def _failures(kept: Sequence[Case], arm: str) -> Failures:
    executions = [
        each
        for case in kept
        if case.arm == arm
        for turn in own_turns(case.transcript)
        for each in turn.executions
    ]
    errors = [each.error for each in executions if each.error]
    unknown = Counter(name for error in errors if (name := unknown_name(error)))
    return Failures(
        arm=arm,
        n_executions=len(executions),
        n_failed=len(errors),
        by_kind=dict(Counter(error.kind for error in errors).most_common()),
        by_cause={str(each): n for each, n in Counter(map(cause_of, errors)).most_common()},
        unknown_names=dict(unknown.most_common()),
    )
