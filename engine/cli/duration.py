"""Durations on the command line: 11h30m, 45m, 90s."""

import re
from collections.abc import Sequence

from cyclopts import Token

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNITS_S = (3600, 60, 1)


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
