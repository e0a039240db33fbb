"""Numbers in a text, with what was written of them: value, precision, unit. Pure."""

import re
from collections.abc import Iterator
from itertools import islice

import msgspec

MOST = 1000
"""Numbers of one text that are looked at: no reply of a real model has as many."""

_SCALES = {
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "million": 1e6,
    "mio": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "billion": 1e9,
    "t": 1e12,
    "trillion": 1e12,
}
_MINUS = {"-", "\u2212"}
_BINARY = {"k": 2.0**10, "m": 2.0**20, "b": 2.0**30}
_UNIT = (
    r"[kKMBT]\b|[ \u00a0-]?(?:%|percent\b|thousand\b|million\b|billion\b|trillion\b|mio\b|bn\b"
    r"|(?:[kKMGT]i?B|bytes|ms|milliseconds|seconds)\b)"
)
_NUMBER = re.compile(
    r"(?=[-\u2212+\d])(?:(?<![\w.\\])|(?<=\d[x\u00d7]))(?P<sign>[-\u2212+]?)"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)|\d{1,25})(?P<part>\.\d{1,25})?"
    rf"(?P<power>[eE][-+]?\d{{1,3}})?(?P<unit>{_UNIT})?(?=[x\u00d7]\d|[^\w]|$)(?!\.\d)"
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ONES = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen"),
    *("sixteen", "seventeen", "eighteen", "nineteen"),
)
_WORD = re.compile(
    rf"(?<![\w-])(?=[efnst])(?a:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<ones>{'|'.join(_ONES[:9])}))?"
    rf"|(?P<small>{'|'.join(_ONES[1:])}))(?![\w-])",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(r"[A-Za-z_][\w./-]{0,60}-$|[A-Za-z_]$")


class Numeral(msgspec.Struct, frozen=True, kw_only=True):
    """A number as it stands in a text."""

    text: str
    start: int
    end: int
    value: float
    half_unit: float
    """Half of the last place that was written: how far rounding may have moved it."""
    n_digits: int
    """Significant digits: the information in it."""
    unit: str = ""
    """"%", "gb", "ms", ...; scales such as "million" are in the value."""
    binary: float | None = None
    """The value if "k" or "M" means a power of two."""
    is_word: bool = False
    is_loose: bool = False
    """Said with "about": an integer is not meant to the last digit."""

    @property
    def is_integer(self) -> bool:
        """True if it was written without a fraction, a power and a scale."""
        return self.text.lstrip("-+\u2212").replace(",", "").isdecimal()

    @property
    def is_telling(self) -> bool:
        """True if it hardly agrees with another number by chance: three digits or more."""
        return self.n_digits >= _TELLING_DIGITS

    def agrees_with(self, other: float) -> bool:
        """Tell whether `other`, rounded or cut to the places written, is this number."""
        return any(self._is_near(value, other) for value in self.readings(other))

    def readings(self, other: float) -> Iterator[float]:
        """Yield the values that it may have beside `other`: 12% is 0.12 too, 32K 32,768."""
        yield self.value
        if self.unit == "%":
            yield self.value / 100
        if self.binary is not None and other == self.binary:
            yield self.binary

    def _is_near(self, value: float, other: float) -> bool:
        half = self.half_unit * (value / self.value if self.value else 1.0)
        if self.is_integer and not self.is_loose and other == int(other):
            return value == other
        below = abs(value) - abs(other)
        is_same_sign = value * other >= 0
        if half == 0:
            return value == other
        return is_same_sign and -2 * half * (1 - 1e-9) < below <= half * (1 + 1e-9)


_TELLING_DIGITS = 3


def numerals(text: str) -> Iterator[Numeral]:
    """Yield the numbers of `text` in their order, words for them too; parts of names are none."""
    words = map(_from_word, islice(_WORD.finditer(text), MOST))
    yield from sorted([*digits(text), *words], key=lambda each: each.start)


def digits(text: str) -> Iterator[Numeral]:
    """Yield the numbers of `text` that are written in digits, the first 1,000."""
    for each in islice(_NUMBER.finditer(text), MOST):
        if not _IDENTIFIER.search(text, max(0, each.start() - 64), each.start()):
            yield _from_digits(each, text)


def _from_digits(found: re.Match[str], text: str) -> Numeral:
    digits, part, power = found["digits"], found["part"] or "", found["power"] or ""
    whole = digits.replace(",", "")
    unit = (found["unit"] or "").strip(" \u00a0-").lower()
    scale = _SCALES.get(unit, 1.0)
    exponent = int(power[1:] or 0) if power else 0
    size = float(f"{whole}{part}e{exponent}") * scale
    last_place = float(f"1e{exponent - max(0, len(part) - 1)}") * scale
    sign = -1.0 if found["sign"] in _MINUS else 1.0
    return Numeral(
        text=text[found.start() : found.end()],
        start=found.start(),
        end=found.end(),
        value=sign * size,
        half_unit=last_place / 2,
        n_digits=len(f"{whole}{part[1:]}".lstrip("0").rstrip("0" if not part else "")) or 1,
        unit="%" if unit == "percent" else "" if unit in _SCALES else unit,
        binary=float(f"{whole}{part}") * _BINARY[unit] if unit in _BINARY else None,
    )


def _from_word(found: re.Match[str]) -> Numeral:
    if found["small"]:
        value = _ONES.index(found["small"].lower()) + 1
    else:
        ones = found["ones"]
        value = 20 + 10 * _TENS.index(found["tens"].lower())
        value += _ONES.index(ones.lower()) + 1 if ones else 0
    return Numeral(
        text=found[0],
        start=found.start(),
        end=found.end(),
        value=float(value),
        half_unit=0.0,
        n_digits=len(str(value)),
        is_word=True,
    )
