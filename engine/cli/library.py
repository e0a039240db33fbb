"""The documents that the phases of a study grant, by the set that a phase names."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.cli.options import Options
from engine.introspection.documents import Documents, open_documents
from engine.manifest import DocumentSet
from engine.phase import DocumentsKind, Phase
from phases.load import documents_folder

Library = Mapping[DocumentsKind, Documents]
"""Set -> its documents. Those that no phase of a study grants are what its arms must not see."""


def open_library(options: Options) -> Library:
    """Read both sets: those that ship, or what `options` puts in their place.

    Raises:
        NotReadyError: a directory has no document, or one cannot be read.
    """
    return {
        kind: open_documents(folder or documents_folder(kind))
        for kind, folder in _given(options).items()
    }


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
