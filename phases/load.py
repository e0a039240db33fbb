"""Reading phases from their folders."""

import tomllib
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from engine.errors import UsageError
from engine.phase import DocumentsKind, Experiment, Phase, Texts
from engine.prompts import render
from phases.faults import explain, misplaced

_HERE = Path(__file__).parent
_COMMON = _HERE / "common"
_PROMPTS = ("prompt", "prompt_on_documents")
"""Fields of an experiment that name a file of Markdown."""
_DOCUMENTS = {"true": "examination", "wrong": "free-will"}


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


def get_phases(keys: Sequence[str], folders: Iterable[Path] = ()) -> tuple[Phase, ...]:
    """Return the shipped phases called `keys` and those that `folders` define, in their order.

    Raises:
        UsageError: one is unknown, malformed, or two have the same key.
    """
    found = (*map(get_phase, keys), *map(load_phase, folders))
    names = [phase.key for phase in found]
    twice = [key for position, key in enumerate(names) if key in names[:position]]
    if twice:
        raise UsageError(f"phase {twice[0]!r} is named twice; use --replicates for repetitions.")
    return found


def load_phase(folder: Path) -> Phase:
    """Return the phase that `folder` defines by its phase.toml and the Markdown beside it.

    Raises:
        UsageError: a file is missing or malformed; file, line, field and remedy are named.
    """
    folder = folder.resolve()
    path = folder / "phase.toml"
    given, stated = _text(path), _toml(path)
    if faults := misplaced(path, given, stated):
        raise UsageError(faults)
    fields = _toml(_COMMON / "capabilities.toml") | stated
    added = {"key": folder.name, "rules": _rules(fields), "texts": _texts()}
    try:
        phase = Phase.model_validate(fields | added)
    except ValidationError as error:
        raise UsageError(explain(path, given, error)) from error
    stages = tuple(_with_prompt(folder, experiment) for experiment in phase.experiments)
    return phase.model_copy(update={"experiments": stages})


def documents_folder(which: DocumentsKind) -> Path:
    """Return the directory of the documents that ship, of the set that a phase names."""
    return _HERE / "heritage" / _DOCUMENTS[which]


def _with_prompt(folder: Path, experiment: Experiment) -> Experiment:
    """Put the texts of the prompts in place of their file names.

    Raises:
        UsageError: one is missing, empty or uses a variable that there is not.
    """
    names = {name: getattr(experiment, name) for name in _PROMPTS}
    texts = {name: _prompt(folder / file, experiment) for name, file in names.items() if file}
    return experiment.model_copy(update=texts)


def _prompt(path: Path, experiment: Experiment) -> str:
    text = _text(path)
    if not text.strip():
        raise UsageError(f"{path}: is empty; write what the model is asked in this experiment.")
    try:
        render(text, max_turns=experiment.max_turns)
    except UsageError as error:
        raise UsageError(f"{path}: {error}. The one variable is {{{{ max_turns }}}}.") from error
    return text


def _rules(fields: dict[str, Any]) -> object:
    given = fields.get("rules", {})
    if not isinstance(given, dict):
        return given
    return _toml(_COMMON / "rules.toml") | cast("dict[str, Any]", given)


def _texts() -> dict[str, str]:
    return {name: _text(_COMMON / f"{name}.md") for name in Texts.model_fields}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); a phase needs this file.") from error
