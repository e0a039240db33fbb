"""Numbers as a page shows them: those of the comparison, with the signs of print. Pure."""

import re

from engine.compare import words
from engine.compare.result import Interval

MINUS, NONE = "\N{MINUS SIGN}", "\N{EM DASH}"
_LEAST_P = 0.001
_NEGATIVE = re.compile(r"(?<![\w.)-])-(?=\d)")


def figure(value: float | None, *, is_share: bool = False) -> str:
    """Return a value; a share in percent."""
    return NONE if value is None else printed(words.figure(value, is_share=is_share))


def difference(value: float | None, *, is_share: bool = False) -> str:
    """Return a difference with its sign; that of two shares in percentage points."""
    if value is None:
        return NONE
    return _signed(value, is_share=is_share) + (" points" if is_share else "")


def interval(found: Interval | None, *, is_share: bool = False) -> str:
    """Return an interval of differences; empty when there is none."""
    if found is None:
        return ""
    return " to ".join(_signed(end, is_share=is_share) for end in (found.low, found.high))


def probability(p: float | None) -> str:
    """Return a p value without its letter."""
    if p is None:
        return NONE
    return f"< {_LEAST_P}" if p < _LEAST_P else f"{p:.3f}"


def size(n_bytes: float) -> str:
    """Return bytes in the largest binary unit that fits."""
    units = iter(("B", "KiB", "MiB"))
    for unit in units:
        if n_bytes < 2**10:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 2**10
    return f"{n_bytes:.3g} GiB"


def printed(text: str) -> str:
    """Return a sentence with its negative numbers as they are printed."""
    return _NEGATIVE.sub(MINUS, text)


def _signed(value: float, *, is_share: bool) -> str:
    return printed(words.signed(value, is_share=is_share))
