"""Figures and verdicts as sentences. Pure."""

import math
from collections.abc import Sequence

from engine.compare.judgement import MANY
from engine.compare.result import Effect, Interval, Result, Unit

_TINY_P = 0.001
_MOST_DIGITS = 2


def figure(value: float | None, *, is_share: bool, unit: str = "") -> str:
    """Return a value as people read it: "12 %", "3.4", "1,234 tokens"."""
    if value is None:
        return "-"
    if is_share:
        return f"{100 * value:.0f} %"
    return f"{_number(value)} {unit}".rstrip()


def signed(value: float | None, *, is_share: bool) -> str:
    """Return a difference: "+3.4", or "+12" for percentage points; one that rounds to 0 is "0"."""
    if value is None:
        return "-"
    text = f"{100 * value:.0f}" if is_share else _number(value)
    if not text.strip("-0."):
        return "0"
    return text if text.startswith("-") else f"+{text}"


def span(interval: Interval | None, *, is_share: bool) -> str:
    """Return an interval of a difference: "-1.2 to +3.4"."""
    if interval is None:
        return "no interval"
    low, high = (signed(end, is_share=is_share) for end in (interval.low, interval.high))
    return f"{low} to {high}"


def probability(p: float | None) -> str:
    """Return a p value: "p = 0.012"."""
    if p is None:
        return "not tested"
    return f"p < {_TINY_P}" if p < _TINY_P else f"p = {p:.3f}".rstrip("0").rstrip(".")


def counted(n: int, unit: Unit) -> str:
    """Return a number of units: "1 seed", "6 phases"."""
    return f"{n:,} {unit}{'' if n == 1 else 's'}"


def missing(n_more: int | None, unit: Unit, n_units: int | None) -> str:
    """Return the verdict that says how many units are missing, where that can be told.

    `n_units`: there are so many; None: more than that were carried out, and some are left out.
    """
    if n_more is None:
        return "not enough runs"
    plural = unit if n_more == 1 else f"{unit}s"
    in_all = "" if n_units is None or n_more >= MANY else f" ({n_units + n_more:,} in all)"
    return f"not enough runs: {more(n_more)} {plural}{in_all}"


def more(n_more: int) -> str:
    """Return how many are missing: "4 more"."""
    return f"more than {MANY:,} more" if n_more >= MANY else f"{n_more:,} more"


def told(effect: Effect, *, is_share: bool) -> str:
    """Return a difference with its interval: "+18 points, 95 % interval +9 to +27"."""
    points = " points" if is_share and effect.difference is not None else ""
    difference = signed(effect.difference, is_share=is_share) + points
    if effect.interval is None:
        return difference
    return f"{difference}, 95 % interval {span(effect.interval, is_share=is_share)}"


def sentence(result: Result, unit: Unit, *, is_whole: bool) -> str:
    """Return what is found about one measure; `is_whole`: no investigation is left out."""
    first, second = result.first, result.second
    values = " against ".join(
        f"{figure(arm.value, is_share=result.is_share)} ({arm.arm})" for arm in (first, second)
    )
    claim = _claim(result, unit, is_whole=is_whole)
    match result.verdict:
        case "not compared":
            return (
                f"{result.label}: {values}. The models shared a machine, so this is no property "
                "of theirs."
            )
        case "not measured":
            return f"{result.label}: {unobserved(result)}."
        case _ if not result.n_units:
            return f"{claim}. No pair of investigations counts."
        case _:
            found = told(result.effect, is_share=result.is_share)
            seen = f"{values}; difference {found}, {counted(result.n_units, unit)}"
            return f"{claim}: {seen}{_test(result)}.{_noise(result)}"


def _claim(result: Result, unit: Unit, *, is_whole: bool) -> str:
    first, second = result.first.arm, result.second.arm
    match result.verdict:
        case "differ":
            small = ", by less than counts" if is_within_margin(result) else ""
            return f"{first} and {second} differ in {result.label}{small}"
        case "tied":
            margin = figure(result.margin, is_share=result.is_share)
            return f"{first} and {second} are tied in {result.label} (within {margin})"
        case _:
            lacking = missing(result.n_more, unit, result.n_units if is_whole else None)
            return f"{first} and {second}, {result.label}: {lacking}"


def unobserved(result: Result) -> str:
    """Return in which arms there was nothing to measure by: "not observed in a"."""
    arms = [each.arm for each in (result.first, result.second) if each.value is None]
    return f"not observed in {listed(arms)}"


def is_within_margin(result: Result) -> bool:
    """Tell whether the whole interval is within the margin."""
    interval, margin = result.effect.interval, result.margin
    return (
        interval is not None
        and margin is not None
        and -margin <= interval.low
        and interval.high <= margin
    )


def _test(result: Result) -> str:
    if result.p_holm is None or result.verdict == "not enough runs":
        return ""
    adjusted = "" if result.p_holm == result.effect.p else " (adjusted)"
    return f", {probability(result.p_holm)}{adjusted}"


def _noise(result: Result) -> str:
    floors = [each for each in result.noise if each.floor is not None]
    if not floors:
        return ""
    widest = max(floors, key=lambda each: each.floor or 0.0)
    limit = signed(widest.floor, is_share=result.is_share).lstrip("+")
    points = " points" if result.is_share else ""
    return f" {widest.arm} differs from itself by up to {limit}{points}."


def listed(names: Sequence[str]) -> str:
    """Return names as part of a sentence: "a, b and c"."""
    if len(names) < 2:  # noqa: PLR2004 - a list begins with two
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _number(value: float) -> str:
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, _MOST_DIGITS)}f}"
