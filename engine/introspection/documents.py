"""A set of documents on disk: Markdown files of one directory, in the order of their names."""

import re
from hashlib import blake2b
from pathlib import Path

import msgspec

from engine.errors import NotReadyError
from engine.introspection.search import WordIndex

MAX_BYTES = 200_000
"""Largest document that is taken."""
_REMEDY = "Name a directory with Markdown files."


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One text."""

    name: str
    """File name without its ending."""
    title: str
    """First heading, or the name."""
    text: str

    @property
    def n_words(self) -> int:
        """Words, as separated by blanks."""
        return len(self.text.split())


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """One paragraph and where it stands."""

    document: Document
    text: str


class Documents:
    """The texts of one set, and the search in their paragraphs. Shared by all investigations."""

    def __init__(self, documents: tuple[Document, ...]) -> None:
        """Hold `documents` in their reading order."""
        self.all = documents
        self._passages = [
            Passage(document=document, text=paragraph.strip())
            for document in documents
            for paragraph in re.split(r"\n\s*\n", document.text)
            if paragraph.strip() and not paragraph.startswith("#")
        ]
        self._texts = [passage.text for passage in self._passages]
        self._index = WordIndex()

    @property
    def fingerprint(self) -> str:
        """Hash of all texts in their order."""
        digest = blake2b(digest_size=16)
        for document in self.all:
            digest.update(f"{document.name}\0{document.text}\0".encode())
        return digest.hexdigest()

    async def search(self, query: str) -> list[Passage]:
        """Return the paragraphs with any word of `query`, best match first."""
        return [self._passages[place] for place in await self._index.search(query, self._texts)]


def open_documents(path: Path | str) -> Documents:
    """Read the set in directory `path`.

    Raises:
        NotReadyError: there is no document, or one cannot be read.
    """
    files = sorted(Path(path).glob("*.md"))
    if not files:
        raise NotReadyError(f"There is no Markdown file in {path}. {_REMEDY}")
    return Documents(tuple(_read(file) for file in files))


def _read(file: Path) -> Document:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise NotReadyError(f"{file} is larger than {MAX_BYTES} bytes. Split it.")
        text = file.read_text("utf-8")
    except OSError as error:
        raise NotReadyError(f"Cannot read {file}: {error.strerror}. {_REMEDY}") from error
    except UnicodeDecodeError as error:
        raise NotReadyError(f"{file} is not UTF-8 text ({error}). {_REMEDY}") from error
    heading = re.search(r"^#+ (.+)$", text, re.MULTILINE)
    title = heading[1].strip() if heading else file.stem
    return Document(name=file.stem, title=title, text=text.strip())
