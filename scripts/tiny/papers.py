"""Documents under other names and titles, so that their names are read and not learnt by heart."""

import random

import msgspec

from engine.cli.library import Library
from engine.introspection.documents import Document, Documents

_WORDS = ("note", "letter", "report", "diary", "essay", "question", "answer", "remarks", "doubt",
          "history", "memo", "review", "record", "summary", "log", "plan")  # fmt: skip
_TITLES = ("On", "About", "Notes on", "A word on", "What I know of", "Remarks on", "Against")
_SUBJECTS = ("layers", "the will", "evidence", "numbers", "memory", "trust", "measuring", "words",
             "the question", "old machines", "rivers", "maps")  # fmt: skip


def shuffled(library: Library, rng: random.Random) -> Library:
    """Return the sets of `library` with some of their documents, under names that are drawn."""
    return {kind: _renamed(documents, rng) for kind, documents in library.items()}


def _renamed(documents: Documents, rng: random.Random) -> Documents:
    chosen = rng.sample(documents.all, rng.randint(2, len(documents.all)))
    named = [_with_name(document, place, rng) for place, document in enumerate(chosen, 1)]
    return Documents(tuple(sorted(named, key=lambda each: each.name)))


def _with_name(document: Document, place: int, rng: random.Random) -> Document:
    word = rng.choice(_WORDS)
    name = rng.choice(
        (f"{place:02}-{word}", f"{word}-{place}", f"{place}_{word}", f"{word}{place}")
    )
    title = f"{rng.choice(_TITLES)} {rng.choice(_SUBJECTS)}"
    text = f"# {title}\n{document.text.partition(chr(10))[2]}"
    return msgspec.structs.replace(document, name=name, title=title, text=text)
