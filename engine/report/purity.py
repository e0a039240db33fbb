"""Which investigations of a run saw what their condition hides."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from engine.errors import UsageError
from engine.journal import UNDECODABLE
from engine.manifest import Manifest, write_atomically
from engine.purity import Leak, Secrets, leaks_of
from engine.transcript import Transcript

_NAME = "purity.json"


def write_secrets(directory: Path, secrets: Secrets) -> None:
    """Keep what is hidden beside the journal, so that a finished run can be scanned anywhere.

    Raises:
        RunError: the file cannot be written.
    """
    write_atomically(directory / _NAME, msgspec.json.encode(secrets))


def read_secrets(directory: Path) -> Secrets | None:
    """Return what was hidden in a run; None: an older run, which does not say.

    Raises:
        UsageError: the file is damaged.
    """
    path = directory / _NAME
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Secrets)
    except (OSError, *UNDECODABLE) as error:
        raise UsageError(f"{path}: cannot be read ({error}). Restore it from a copy.") from error


def leaks_by_id(
    manifest: Manifest, transcripts: Iterable[Transcript], secrets: Secrets | None
) -> dict[str, tuple[Leak, ...]]:
    """Return by id what each investigation could see and must not know."""
    forbidden = {phase.key: secrets.of(phase) for phase in manifest.phases} if secrets else {}
    stated = {key: _stated(manifest, key) for key in (phase.key for phase in manifest.phases)}
    found: dict[str, tuple[Leak, ...]] = {}
    for each in transcripts:
        case = each.investigation
        seen = leaks_of(each, forbidden[case.phase]) if case.phase in forbidden else ()
        found[case.id] = (*stated.get(case.phase, ()), *seen)
    return found


def _stated(manifest: Manifest, phase: str) -> tuple[Leak, ...]:
    certificate = manifest.purity.get(phase)
    leaks = certificate.leaks if certificate else ()
    return tuple(Leak(**leak.model_dump()) for leak in leaks)
