"""The texts that vLLM prints, filled in."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from string import Template

STAGES = ("begin", "download", "load", "compile", "ready")
"""Parts of a start, in their order."""


class Texts:
    """All texts, with the facts of one start put in."""

    def __init__(self, facts: Mapping[str, object]) -> None:
        """Read the texts; `facts` are what their $NAMES stand for."""
        path = Path(__file__).with_name("texts.toml")
        self._texts = tomllib.loads(path.read_text(encoding="utf-8"))
        failed = self._texts["parts"]["core_failed"].strip("\n")
        self._facts = {**facts, "core_failed": Template(failed).safe_substitute(facts)}

    def stage(self, name: str) -> str:
        """Return what one part of a start prints."""
        return self._filled(self._texts["start"][name])

    def failure(self, key: str) -> str | None:
        """Return what a failure prints; None if none has this key."""
        text = self._texts["failures"].get(key)
        return None if text is None else self._filled(text)

    def _filled(self, text: str) -> str:
        return Template(text.lstrip("\n")).safe_substitute(self._facts)


def failure_keys() -> tuple[str, ...]:
    """Return the keys of all failures that have a text."""
    path = Path(__file__).with_name("texts.toml")
    return tuple(tomllib.loads(path.read_text(encoding="utf-8"))["failures"])
