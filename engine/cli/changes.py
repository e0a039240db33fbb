"""What a fork can change, and the phase that comes of it."""

from difflib import get_close_matches
from typing import NamedTuple

from pydantic import ValidationError

from engine.branch import Place, Trunk, upcoming
from engine.errors import UsageError
from engine.phase import Heritage, Phase

CONTROL = "control"
_KEYS = ("heritage", "model", "temperature")


class Change(NamedTuple):
    """One thing set; both empty: nothing."""

    key: str
    value: str


def parse_change(text: str) -> Change:
    """Read KEY=VALUE or `control`.

    Raises:
        UsageError: it is neither, or no temperature; what can be set is named.
    """
    if text == CONTROL:
        return Change("", "")
    key, equals, value = text.partition("=")
    if key not in _KEYS or not equals or not value:
        near = get_close_matches(key, _KEYS, n=1)
        hint = f" Did you mean {near[0]}=?" if near and key not in _KEYS else ""
        raise UsageError(
            f"--set {text!r}: expected heritage=true|wrong|none, model=NAME, temperature=NUMBER "
            f"or control.{hint}"
        )
    return Change(key, _plain(_temperature(value)) if key == "temperature" else value)


def changed(phase: Phase, trunk: Trunk, place: Place, change: Change) -> Phase:
    """Return `phase` as it goes on from `place` under `change`, with a key that says so.

    Raises:
        UsageError: the change is impossible there.
    """
    match change:
        case Change("heritage", value):
            update: dict[str, object] = {"heritage": _heritage(phase, trunk, value)}
        case Change("temperature", value):
            sampling = phase.sampling.model_copy(update={"temperature": float(value)})
            update = {"sampling": sampling}
        case _:
            return _keyed(phase, place)
    return _keyed(phase.model_copy(update=update), place, *change)


def _keyed(phase: Phase, *parts: str | int) -> Phase:
    """Return `phase` with a key that names `parts`.

    Raises:
        UsageError: it would not be a phase of which a manifest can tell.
    """
    key = "-".join([phase.key, "at", *map(str, parts)]).replace(".", "_")
    try:
        return Phase.model_validate(phase.model_dump() | {"key": key})
    except ValidationError as error:
        what = error.errors()[0]["msg"]
        raise UsageError(f"no fork can be called {key!r}: {what}.") from error


def _heritage(phase: Phase, trunk: Trunk, value: str) -> Heritage | None:
    if value not in ("true", "wrong", "none"):
        raise UsageError(f"--set heritage={value}: expected true, wrong or none.")
    left, case = upcoming(phase, trunk), trunk.start.investigation
    if phase.heritage and phase.heritage.begins not in left:
        raise UsageError(
            f"--set heritage={value}: {case} has heritage from {phase.heritage.begins!r} on, "
            "before this branch; branch off before that."
        )
    if value == "none":
        return None
    if not left:
        raise UsageError(
            f"--set heritage={value}: {case} has begun its last experiment; branch off earlier."
        )
    return Heritage(documents="true" if value == "true" else "wrong", begins=left[0])


def _temperature(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 2:  # noqa: PLR2004 - the bounds of `engine.phase.Sampling`
        raise UsageError(f"--set temperature={value}: expected a number from 0 to 2.")
    return number


def _plain(number: float) -> str:
    """Return the one text of a number: that of +0.50 is 0.5."""
    return str(number + 0.0).removesuffix(".0")
