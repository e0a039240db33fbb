"""The documents that the phases of a study grant, by the set that a phase names."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.cli.options import Options
from engine.introspection.documents import Documents, open_documents
from engine.manifest import DocumentSet
from engine.phase import DocumentsKind, Phase
from phases.load import documents_folder

Library = Mapping[DocumentsKind, Documents]
"""Set -> its documents: only the sets that some phase of the study grants."""


def open_library(phases: Iterable[Phase], options: Options) -> Library:
    """Read the sets that `phases` grant: those that ship, or what `options` puts in their place.

    Raises:
        NotReadyError: a directory has no document, or one cannot be read.
    """
    wanted = {phase.heritage.documents for phase in phases if phase.heritage}
    given = _given(options)
    return {
        kind: open_documents(folder or documents_folder(kind))
        for kind, folder in given.items()
        if kind in wanted
    }


def facts_of(library: Library, options: Options) -> dict[str, DocumentSet]:
    """Return what the manifest says about the sets."""
    given = _given(options)
    return {
        name: DocumentSet(
            directory=_absolute(given[name]),
            names=tuple(document.name for document in documents.all),
            fingerprint=documents.fingerprint,
        )
        for name, documents in library.items()
    }


def _given(options: Options) -> dict[DocumentsKind, Path | None]:
    return {"true": options.heritage, "wrong": options.wrong_heritage}


def _absolute(folder: Path | None) -> str | None:
    return str(folder.resolve()) if folder else None
