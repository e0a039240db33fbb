"""What is wrong with the definition of a phase, in words: file, line, field, remedy. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.phase import (
    Compaction,
    Experiment,
    Heritage,
    Phase,
    Reminders,
    ReplyRules,
    Requirements,
    Sampling,
)
from phases.places import Location, line_of

_TABLES: dict[str, type[BaseModel]] = {
    "experiments": Experiment,
    "requires": Requirements,
    "heritage": Heritage,
    "rules": ReplyRules,
    "sampling": Sampling,
    "compaction": Compaction,
    "reminders": Reminders,
}
_SET_BY_THE_LOADER = {
    "key": "the key of a phase is the name of its folder; leave it out, and rename the folder.",
    "texts": "what the engine itself says is the same in every phase; leave it out.",
}
_NAMED = "consist of lower-case letters, digits, - and _, and begin with a letter or a digit"
"""What the names of phases and experiments must do."""


def misplaced(path: Path, text: str, fields: Iterable[str]) -> str:
    """Return what is wrong with `fields` of the file at `path` that no file may state, if any."""
    stated = [name for name in fields if name in _SET_BY_THE_LOADER]
    return "\n".join(
        f"{_place(path, text, (name,))}: {name}: {_SET_BY_THE_LOADER[name]}" for name in stated
    )


def explain(path: Path, text: str, error: ValidationError) -> str:
    """Return what `error` finds wrong with the file at `path`, whose content is `text`."""
    faults = error.errors()
    within = [fault["loc"][:n] for fault in faults for n in range(len(fault["loc"]))]
    return "\n".join(_fault(path, text, fault) for fault in faults if fault["loc"] not in within)


def _fault(path: Path, text: str, fault: ErrorDetails) -> str:
    location = fault["loc"]
    if location == ("key",):
        return f"{path.parent}: the name of a folder is the key of its phase and must {_NAMED}."
    field = ".".join(map(str, location))
    place = _place(path, text, location)
    return f"{place}: {field + ': ' if field else ''}{_words(fault, location)}"


def _place(path: Path, text: str, location: Location) -> str:
    line = line_of(text, location)
    return f"{path}, line {line}" if line else f"{path}"


def _words(fault: ErrorDetails, location: Location) -> str:
    match fault["type"]:
        case "extra_forbidden":
            return f"there is no such field. {_known(location)}"
        case "missing":
            return "is missing; add it."
        case "too_short":
            return f"has none; add one{_example(location)}."
        case "value_error":
            return f"{fault['msg'].removeprefix('Value error, ')}."
        case "string_pattern_mismatch":
            return f"must {_NAMED}, and it is {fault['input']!r}."
        case _:
            return f"{fault['msg']}, and it is {fault['input']!r}."


def _known(location: Location) -> str:
    named = [key for key in location[:-1] if isinstance(key, str)]
    fields = [
        name
        for name in (_TABLES[named[-1]] if named else Phase).model_fields
        if named or name not in _SET_BY_THE_LOADER
    ]
    near = get_close_matches(str(location[-1]), fields, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(fields)}."


def _example(location: Location) -> str:
    if location[-1] != "experiments":
        return ""
    return ' by a table [[experiments]] with name = "NAME" and prompt = "FILE.md"'
