"""Redaction that leaves the names of a run alone: they are public, and things are found by them."""

from collections.abc import Sequence
from pathlib import Path

from engine.manifest import Manifest
from engine.report.redaction import Redaction, redaction_of

_LONGEST_NAME = 512


class _Naming(Redaction, frozen=True, kw_only=True):
    """What is private in a run, and what is not."""

    names: frozenset[str]
    """Of the run and its parts."""
    kinds: frozenset[str]
    """MODEL.PHASE, which with the number of a replicate is the id of an investigation."""

    def text(self, text: str) -> str:
        """Return `text` redacted, unless it is a name."""
        return text if self._is_name(text) else Redaction.text(self, text)

    def _is_name(self, text: str) -> bool:
        if len(text) > _LONGEST_NAME:
            return False
        kind, _, number = text.rpartition(".")
        return text in self.names or (kind in self.kinds and number.isdecimal())


def redaction_for(manifest: Manifest, directory: Path, secrets: Sequence[str]) -> Redaction:
    """Return what is private in the run in `directory`; a key that a name of it tells is not."""
    names = manifest.names()
    hidden = [secret for secret in secrets if not any(secret in name for name in names)]
    known = redaction_of(manifest, directory, hidden)
    kinds = (f"{arm.model}.{phase.key}" for arm in manifest.arms for phase in manifest.phases)
    return _Naming(secrets=known.secrets, places=known.places, names=names, kinds=frozenset(kinds))
