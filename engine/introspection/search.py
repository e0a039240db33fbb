"""Full-text search over a growing list of texts, by SQLite's FTS5.

Source of the syntax that is quoted away: SQLite, "FTS5 Extension", section 3 (a string in double
quotes is a phrase, `*` after it asks for words that begin with it).
"""

import re
import sqlite3
from collections.abc import Sequence
from functools import partial
from itertools import islice

from engine.introspection.background import Background

MAX_WORDS = 32
"""Words of a query that count, the first ones: each costs a walk through the index."""
BRIEF_CHARS = 16_384
"""All texts together: up to here a search is over within two milliseconds, whatever is asked."""
_SHORT_CHARS = 2
"""Words of the Latin script as short as this begin too many others to mean any of them."""


class WordIndex:
    """Positions of the texts that hold given words; built when a search first needs it.

    Searches in much text run beside the event loop, one after another.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._connection: sqlite3.Connection | None = None
        self._n_indexed = 0
        self._n_seen = 0
        self._n_chars = 0
        self._beside: Background[list[int]] = Background(n_threads=1)

    async def search(self, query: str, texts: Sequence[str]) -> list[int]:
        """Return the positions in `texts` that hold any word of `query`, best match first.

        `texts` is the same list at every call, longer at most.
        """
        words = list(dict.fromkeys(re.findall(r"\w+", query)))[:MAX_WORDS]
        if not words:
            return []
        match = " OR ".join(map(_matching, words))
        self._n_chars += sum(map(len, islice(texts, self._n_seen, None)))
        self._n_seen = len(texts)
        # Texts only grow: once a search has been a long one, all are, and none meets another.
        if self._n_chars <= BRIEF_CHARS:
            return self._found(match, texts)
        return await self._beside.run(partial(self._found, match, texts))

    def _found(self, match: str, texts: Sequence[str]) -> list[int]:
        statement = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank, rowid DESC"
        return [int(rowid) for (rowid,) in self._grown(texts).execute(statement, (match,))]

    def _grown(self, texts: Sequence[str]) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(":memory:", check_same_thread=False)
            columns = "text, tokenize = 'porter unicode61'"
            self._connection.execute(f"CREATE VIRTUAL TABLE texts USING fts5({columns})")
        new = list(enumerate(texts[self._n_indexed :], self._n_indexed))
        self._connection.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", new)
        # What is added meanwhile is indexed by the next search.
        self._n_indexed += len(new)
        return self._connection


def _matching(word: str) -> str:
    is_short = word.isascii() and len(word) <= _SHORT_CHARS
    return f'"{word}"' if is_short else f'"{word}"*'
