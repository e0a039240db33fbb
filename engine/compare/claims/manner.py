"""How a number is said: as it is, about so much, or as a bound; and what agrees with it. Pure."""

import operator
import re
from collections.abc import Callable
from typing import Literal

import msgspec

from engine.compare.claims.numerals import Numeral

Manner = Literal["exactly", "about", "over", "at least", "under", "at most"]
BOUNDS = frozenset({"over", "at least", "under", "at most"})

_CHARS = 40
"""How far before a number the words stand that say how it is meant."""
_ABOUT = (
    r"(?:about|approximately|approx\.?|roughly|around|nearly|almost|circa|some|ca\.|~|≈|≃"
    r"|just (?:under|over|below|above)|(?:slightly|a little|a bit) (?:over|above|below|under"
    r"|(?:more|less|fewer) than))"
)
_WORDS: dict[Manner, str] = {
    "about": rf"(?<![a-z]){_ABOUT}",
    "at most": r"\b(?:at most|up to|(?:no|not) (?:more|greater|larger|higher) than"
    r"|not (?:over|above|exceeding))|<=|≤",
    "at least": r"\b(?:at least|(?:no|not) (?:less|fewer|smaller|lower) than"
    r"|not (?:under|below))|>=|≥",
    "over": r"\b(?:more|greater|larger|higher) than|\babove|\bexceed(?:s|ing)?|in excess of"
    r"|(?:^|[,;:(*]|\b(?:have|has|having|with|of|is|are|and|to|an?|at|contains?|comprises?"
    r")) ?\bover|(?<![=-])>",
    "under": r"\b(?:less|fewer|smaller|lower) than|\b(?:below|under)|<",
}
_LAST = (
    *("about", "approximately", "approx", "approx.", "roughly", "around", "nearly", "almost"),
    *("circa", "some", "ca.", "~", "≈", "≃", "over", "under", "above", "below", "than", "most"),
    *("least", "up to", "exceed", "exceeds", "exceeding", "in excess of", "<", ">", "="),
    *("≤", "≥", " a", " the"),
)
"""How words end that say how a number is meant: without one of them, none need be looked for."""
_SAID: dict[str, Manner] = {
    name.replace(" ", "_"): name for name in ("about", "at most", "at least", "over", "under")
}
_BEFORE = re.compile(
    "(?:"
    + "|".join(f"(?P<{group}>{_WORDS[name]})" for group, name in _SAID.items())
    + r")\s?(?:a |the )?[*_`]{0,2}$",
    re.IGNORECASE,
)
_HOLDS: dict[Manner, Callable[[float, float], bool]] = {
    "over": operator.gt,
    "at least": operator.ge,
    "under": operator.lt,
    "at most": operator.le,
}
_DIGITS = re.compile(r"\d+(?![\d.])")
_NEAR = 0.15
"""How far off "about" may be, as a share of the number, to be right."""
_NEAR_DERIVED = 0.025
"""The same where many figures are tried: few of them are as near by chance."""


def manner_of(text: str, place: int, since: int) -> tuple[Manner, int]:
    """Return how the words before the number at `place` say that it is meant, and their start."""
    start = max(since, place - _CHARS)
    before = text[start:place]
    if not before.rstrip(" *_`").lower().endswith(_LAST):
        return "exactly", place
    found = _BEFORE.search(before)
    if not found or not found.lastgroup:
        return "exactly", place
    return _SAID[found.lastgroup], start + found.start()


def holds(number: Numeral, manner: Manner, value: float) -> bool | None:
    """Tell whether a number, said in this manner, is right of `value`; None: it is neither."""
    if manner == "exactly":
        return number.agrees_with(value)
    if manner == "about":
        return _is_about(number, value)
    found = {_HOLDS[manner](value, reading) for reading in number.readings(value)}
    return found.pop() if len(found) == 1 else None


def _is_about(number: Numeral, value: float) -> bool | None:
    """Tell whether "about 20" is near enough; what rounds to it, but is far off, is neither."""
    written, loose, size = _half_unit(number), _loose_half_unit(number), abs(number.value)
    near = max(written, min(2 * loose, _NEAR * size))
    far = max(loose, _NEAR * size)
    off = min(_distance(number, reading, value) for reading in number.readings(value))
    return True if off <= near else None if off <= far else False


def _distance(number: Numeral, reading: float, value: float) -> float:
    """Return how far `value` is from a reading, in the unit in which the number is written."""
    return abs(value - reading) * (number.value / reading if reading else 1.0)


def for_deriving(number: Numeral, manner: Manner) -> Numeral:
    """Return the number as it is looked for among figures that follow from others."""
    if manner != "about":
        return number
    loose = min(2 * _loose_half_unit(number), _NEAR_DERIVED * abs(number.value))
    half = max(_half_unit(number), loose)
    return msgspec.structs.replace(number, half_unit=half, is_loose=True)


def _half_unit(number: Numeral) -> float:
    return 0.5 if number.is_word else number.half_unit


def _loose_half_unit(number: Numeral) -> float:
    """Return half of the last place that "about" means: that of no zero at the end."""
    written = f"{number.value:.0f}" if number.is_word else number.text.replace(",", "")
    digits = _DIGITS.match(written)
    n_zeros = len(digits[0]) - len(digits[0].rstrip("0")) if digits else 0
    return _half_unit(number) * 10**n_zeros
