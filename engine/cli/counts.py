"""Counts: read on the command line as whole numbers within bounds, and said to a person."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter, Token
from cyclopts.validators import Number

_MOST = 1_000_000
"""Investigations of one model and phase: beyond that a study is a slip of the keyboard."""


def whole(_type: object, tokens: Sequence[Token]) -> int:
    """Read a whole number from the command line.

    Raises:
        ValueError: it is none; a fraction is never rounded.
    """
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no whole number") from None


Whole = Parameter(converter=whole)
Count = Annotated[int, Whole, Parameter(validator=Number(gte=1, lte=_MOST))]
Limit = Annotated[int | None, Whole, Parameter(validator=Number(gte=1))]


def counted(n: int, noun: str) -> str:
    """Return `n` things as a person would say it: 1 block, 1,200 blocks."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
