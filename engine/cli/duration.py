"""Durations: read on the command line (11h30m, 45m, 90s), and said to a person."""

import re
from collections.abc import Sequence

from cyclopts import Token

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_MINUTE_S = 60
_HOUR_S = 3600
_UNITS_S = (_HOUR_S, _MINUTE_S, 1)


def seconds(_type: object, tokens: Sequence[Token]) -> float:
    """Read a duration such as 11h30m, 45m or 90s from the command line.

    Raises:
        ValueError: it is none, or is no time at all.
    """
    return read_duration(tokens[0].value)


def read_duration(text: str) -> float:
    """Return the seconds of a duration such as 11h30m, 45m or 90s.

    Raises:
        ValueError: it is none, or is no time at all.
    """
    match = _DURATION.fullmatch(text)
    numbers = match.groups(default="0") if match else ("0", "0", "0")
    total = sum(int(n) * unit for n, unit in zip(numbers, _UNITS_S, strict=True))
    if not total:
        raise ValueError(f"{text!r} is no duration; write it as 11h30m, 45m or 90s")
    return float(total)


def span(seconds: float) -> str:
    """Return a span of time as a person would say it: 42 s, 7 min, 3 h 05; a second at least."""
    if seconds < _MINUTE_S:
        return f"{max(1.0, seconds):.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    hours, rest = divmod(round(seconds / _MINUTE_S), 60)
    return f"{hours} h {rest:02}"
