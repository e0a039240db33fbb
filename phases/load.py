"""Reading phases from their folders."""

import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.errors import UsageError
from engine.phase import Phase

_HERE = Path(__file__).parent
_TEXTS = (
    "system",
    "observation",
    "reminder",
    "cut",
    "malformed",
    "nudge",
    "empty",
    "circling",
    "foreign",
    "repeated",
    "summarise",
    "summarised",
    "no_output",
    "namespace_lost",
)


def list_phases() -> tuple[str, ...]:
    """Return the keys of the phases that ship, sorted."""
    return tuple(sorted(folder.parent.name for folder in _HERE.glob("*/phase.toml")))


def get_phase(key: str) -> Phase:
    """Return the shipped phase called `key`.

    Raises:
        UsageError: there is none; near matches are named.
    """
    if key not in list_phases():
        near = get_close_matches(key, list_phases(), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"no phase {key!r}; {hint}There are: {', '.join(list_phases())}.")
    return load_phase(_HERE / key)


def get_phases(keys: Sequence[str]) -> tuple[Phase, ...]:
    """Return the shipped phases called `keys`, in their order.

    Raises:
        UsageError: one is unknown or named twice.
    """
    twice = [key for position, key in enumerate(keys) if key in keys[:position]]
    if twice:
        raise UsageError(f"phase {twice[0]!r} is named twice; use --replicates for repetitions.")
    return tuple(map(get_phase, keys))


def load_phase(folder: Path) -> Phase:
    """Return the phase that `folder` defines by its phase.toml and the Markdown beside it.

    Raises:
        UsageError: a file is missing or malformed; file, field and remedy are named.
    """
    path = folder / "phase.toml"
    fields = _toml(path)
    for experiment in fields.get("experiments", []):
        if isinstance(experiment.get("prompt"), str):
            experiment["prompt"] = _text(folder / experiment["prompt"])
    fields |= {"key": folder.name, "rules": _rules(fields), "texts": _texts()}
    try:
        return Phase.model_validate(fields)
    except ValidationError as error:
        raise UsageError(_explain(path, error)) from error


def _rules(fields: dict[str, Any]) -> dict[str, Any]:
    return _toml(_HERE / "common" / "rules.toml") | fields.get("rules", {})


def _texts() -> dict[str, str]:
    return {name: _text(_HERE / "common" / f"{name}.md") for name in _TEXTS}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); a phase needs this file.") from error


def _explain(path: Path, error: ValidationError) -> str:
    faults = (
        f"field {'.'.join(map(str, fault['loc'])) or '(top level)'}: {fault['msg']}"
        for fault in error.errors()
    )
    return f"{path}: " + "; ".join(faults)
