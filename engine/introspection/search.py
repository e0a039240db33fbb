"""Full-text search over a growing list of texts, by SQLite's FTS5.

Source of the syntax that is quoted away: SQLite, "FTS5 Extension", section 3 (a string in double
quotes is a phrase, `*` after it asks for words that begin with it).
"""

import re
import sqlite3
from collections.abc import Sequence

MAX_WORDS = 32
"""Words of a query that count, the first ones: each costs a walk through the index."""


class WordIndex:
    """Positions of the texts that hold given words; built when a search first needs it."""

    def __init__(self) -> None:
        """Start empty."""
        self._connection: sqlite3.Connection | None = None
        self._n_indexed = 0

    def search(self, query: str, texts: Sequence[str]) -> list[int]:
        """Return the positions in `texts` that hold any word of `query`, best match first.

        `texts` is the same list at every call, longer at most.
        """
        words = list(dict.fromkeys(re.findall(r"\w+", query)))[:MAX_WORDS]
        if not words:
            return []
        match = " OR ".join(f'"{word}"*' for word in words)
        statement = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank, rowid DESC"
        return [int(rowid) for (rowid,) in self._grown(texts).execute(statement, (match,))]

    def _grown(self, texts: Sequence[str]) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(":memory:")
            columns = "text, tokenize = 'porter unicode61'"
            self._connection.execute(f"CREATE VIRTUAL TABLE texts USING fts5({columns})")
        new = list(enumerate(texts[self._n_indexed :], self._n_indexed))
        self._connection.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", new)
        self._n_indexed = len(texts)
        return self._connection
