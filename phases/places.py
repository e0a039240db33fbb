"""Where in a TOML file a field stands: the parser itself does not say. Pure."""

import re
from collections.abc import Sequence

Location = Sequence[str | int]
"""Keys and positions from the top, such as ("experiments", 0, "name")."""

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]")
_KEY = re.compile(r"\s*([\w-]+)\s*=")


def line_of(text: str, location: Location) -> int | None:
    """Return the line, from 1, of the field at `location` or of what it should stand in."""
    places = _places(text)
    for length in range(len(location), 0, -1):
        if tuple(location[:length]) in places:
            return places[tuple(location[:length])]
    return None


def _places(text: str) -> dict[tuple[str | int, ...], int]:
    found: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _table(header[2], found, is_listed=header[1] == "[[")
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, key[1]), number)
    return found


def _table(
    name: str, found: dict[tuple[str | int, ...], int], *, is_listed: bool
) -> tuple[str | int, ...]:
    path = tuple(name.split("."))
    if not is_listed:
        return path
    n_before = sum(place[:-1] == path and isinstance(place[-1], int) for place in found)
    return (*path, n_before)
