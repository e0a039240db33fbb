"""The findings of one investigation and their full-text search."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable

import msgspec

from engine.errors import CapabilityError

MAX_FINDINGS = 1000
"""Most findings of one investigation."""
MAX_CHARS = 20_000
"""Most characters of one description."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What the model stored."""

    id: int
    """1 for the first finding of the investigation."""
    description: str
    category: str
    importance: float
    tags: tuple[str, ...]
    metadata: dict[str, object]


def as_dict(finding: Finding) -> dict[str, object]:
    """Return the finding as the model sees it."""
    return {**msgspec.structs.asdict(finding), "tags": list(finding.tags)}


class Findings:
    """Append-only; the index of words is built when a search first needs it."""

    def __init__(self) -> None:
        """Start empty."""
        self.all: list[Finding] = []
        self._index: sqlite3.Connection | None = None
        self._n_indexed = 0

    def __len__(self) -> int:
        """Number of findings."""
        return len(self.all)

    def add(self, finding: Finding) -> Finding:
        """Append one finding.

        Raises:
            CapabilityError: it is too long, or there are too many.
        """
        if len(self.all) >= MAX_FINDINGS:
            raise CapabilityError(
                "ValueError", f"{MAX_FINDINGS} observations are stored, no more fit"
            )
        if len(finding.description) > MAX_CHARS:
            problem = (
                f"description has {len(finding.description)} characters, at most {MAX_CHARS} fit"
            )
            raise CapabilityError("ValueError", problem)
        self.all.append(finding)
        return finding

    def search(self, query: str | None) -> list[Finding]:
        """Return the findings with any word of `query`, best first; without words, latest first."""
        words = re.findall(r"\w+", query or "")
        if not words:
            return [] if query and query.strip() else self.all[::-1]
        match = " OR ".join(f'"{word}"*' for word in words)
        rows = self._searched(match)
        return [self.all[row] for row in rows]

    def categories(self) -> dict[str, int]:
        """Return category -> number of findings, most used first."""
        return _counted((finding.category for finding in self.all), most=None)

    def tags(self, *, most: int) -> dict[str, int]:
        """Return the `most` used tags -> number of findings."""
        return _counted((tag for finding in self.all for tag in finding.tags), most=most)

    def _searched(self, match: str) -> Iterable[int]:
        index = self._indexed()
        rows = index.execute(
            "SELECT rowid FROM findings WHERE findings MATCH ? ORDER BY rank, rowid DESC", (match,)
        )
        return [int(rowid) for (rowid,) in rows]

    def _indexed(self) -> sqlite3.Connection:
        if self._index is None:
            self._index = sqlite3.connect(":memory:")
            columns = "description, category, tags, tokenize = 'porter unicode61'"
            self._index.execute(f"CREATE VIRTUAL TABLE findings USING fts5({columns})")
        new = [
            (place, each.description, each.category, " ".join(each.tags))
            for place, each in enumerate(self.all[self._n_indexed :], self._n_indexed)
        ]
        self._index.executemany(
            "INSERT INTO findings (rowid, description, category, tags) VALUES (?, ?, ?, ?)", new
        )
        self._n_indexed = len(self.all)
        return self._index


def _counted(names: Iterable[str], *, most: int | None) -> dict[str, int]:
    return dict(Counter(names).most_common(most))
