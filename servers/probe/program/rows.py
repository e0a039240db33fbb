"""Which axis of what a module puts out counts the tokens: the one that grows with it. Pure.

A module may put out (1, tokens, size), (tokens, size), or one vector per head with the heads before
or after the tokens; a convolution puts its channels first. Shapes for one text do not tell these
apart; shapes for texts of two lengths do.
"""

from collections.abc import Container, Mapping, Sequence

from engine.errors import CapabilityError

LENGTHS = (2, 3)
"""Tokens of the two texts that are compared."""

Shapes = Mapping[str, Sequence[tuple[int, ...]]]
"""Name of a module -> the shape of what it put out, each time that it ran for one text."""


def token_axes(shorter: Shapes, longer: Shapes) -> dict[str, int]:
    """Return the axis of the tokens by module, of those that put out one vector per token.

    `shorter` and `longer` are what was seen for texts of `LENGTHS`. Modules that ran more than
    once for a text are left out, for it cannot be told which of the vectors is meant.
    """
    found: dict[str, int] = {}
    for name, seen in shorter.items():
        both = (*seen, *longer.get(name, ()))
        axis = _axis(*both) if len(seen) == 1 and len(both) == len(LENGTHS) else None
        if axis is not None:
            found[name] = axis
    return found


def _axis(shorter: tuple[int, ...], longer: tuple[int, ...]) -> int | None:
    if len(shorter) != len(longer):
        return None
    pairs = list(zip(shorter, longer, strict=True))
    grown = [axis for axis, (before, after) in enumerate(pairs) if before != after]
    return grown[0] if len(grown) == 1 and pairs[grown[0]] == LENGTHS else None


def check_rows(name: str, n_rows: int, allowed: Container[int]) -> None:
    """Do nothing if what `name` put out has as many rows as there are tokens.

    Raises:
        CapabilityError: it has another number of rows.
    """
    if n_rows not in allowed:
        raise without_rows(name)


def without_rows(name: str) -> CapabilityError:
    """Return the refusal to show what layer `name` puts out."""
    problem = f"{name!r} puts out no vector for each token in the copy that runs"
    return CapabilityError("ValueError", problem)
