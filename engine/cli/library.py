"""The documents that the phases of a study grant, by the set that a phase names."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.cli.options import Options
from engine.errors import UsageError
from engine.introspection.documents import Documents, open_documents
from engine.manifest import DocumentSet
from engine.phase import DocumentsKind, Phase
from phases.load import documents_folder

Library = Mapping[DocumentsKind, Documents]
"""Set -> its documents. Those that no phase of a study grants are what its arms must not see."""


_FLAGS: Mapping[DocumentsKind, str] = {"true": "--heritage", "wrong": "--wrong-heritage"}


def open_library(options: Options) -> Library:
    """Read both sets: those that ship, or what `options` puts in their place.

    Raises:
        UsageError: what a flag names is no directory.
        NotReadyError: a directory has no document, or one cannot be read.
    """
    given = _given(options)
    for kind, folder in given.items():
        if folder:
            _check_directory(folder, _FLAGS[kind])
    return {kind: open_documents(given[kind] or documents_folder(kind)) for kind in given}


def _check_directory(folder: Path, flag: str) -> None:
    try:
        problem = "" if folder.is_dir() else "is no directory"
    except OSError as error:
        problem = f"cannot be looked at ({error.strerror})"
    if problem:
        raise UsageError(f"{flag} {folder}: {problem}. Name one with *.md files.")


def facts_of(library: Library, phases: Iterable[Phase], options: Options) -> dict[str, DocumentSet]:
    """Return what the manifest says about the sets that `phases` grant."""
    given = _given(options)
    granted = {phase.heritage.documents for phase in phases if phase.heritage}
    return {
        kind: DocumentSet(
            directory=_absolute(given[kind]),
            names=tuple(document.name for document in documents.all),
            fingerprint=documents.fingerprint,
        )
        for kind, documents in library.items()
        if kind in granted
    }


def _given(options: Options) -> dict[DocumentsKind, Path | None]:
    return {"true": options.heritage, "wrong": options.wrong_heritage}


def _absolute(folder: Path | None) -> str | None:
    return str(folder.resolve()) if folder else None
