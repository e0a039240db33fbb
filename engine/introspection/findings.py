"""The findings of one investigation: append-only, counted and searched."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from engine.errors import CapabilityError
from engine.introspection.search import WordIndex

MAX_FINDINGS = 1000
"""Most findings of one investigation."""
MAX_CHARS = 20_000
"""Most characters of one description."""


MAX_NAME_CHARS = 100
"""Most characters of a category or a tag."""
_MAX_TAGS = 20
_MAX_BYTES = 4 << 20
"""All findings of one investigation, as JSON."""


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
    """What was stored, in its order."""

    def __init__(self) -> None:
        """Start empty."""
        self.all: list[Finding] = []
        self._texts: list[str] = []
        self._n_bytes = 0
        self._index = WordIndex()

    def __len__(self) -> int:
        """Number of findings."""
        return len(self.all)

    def add(self, finding: Finding) -> Finding:
        """Append one finding.

        Raises:
            CapabilityError: there are too many.
        """
        n_bytes = self._n_bytes + len(msgspec.json.encode(finding))
        if len(self.all) >= MAX_FINDINGS or n_bytes > _MAX_BYTES:
            problem = f"{len(self.all)} observations are stored, no more fit"
            raise CapabilityError("ValueError", problem)
        self._n_bytes = n_bytes
        self.all.append(finding)
        self._texts.append("\n".join([finding.description, finding.category, *finding.tags]))
        return finding

    async def search(self, query: str | None) -> list[Finding]:
        """Return the findings with any word of `query`, best first; without one, latest first."""
        if query is None or not query.strip():
            return self.all[::-1]
        return [self.all[place] for place in await self._index.search(query, self._texts)]

    def categories(self) -> dict[str, int]:
        """Return category -> number of findings, most used first."""
        return _counted((finding.category for finding in self.all), most=None)

    def tags(self, *, most: int) -> dict[str, int]:
        """Return the `most` used tags -> number of findings."""
        return _counted((tag for finding in self.all for tag in finding.tags), most=most)


def check_length(what: str, text: str, *, most: int) -> None:
    """Refuse a text that is empty, blank or longer than `most` characters.

    Raises:
        CapabilityError: names the argument `what`.
    """
    if not text.strip():
        but = " but for blanks" if text else ""
        raise CapabilityError("ValueError", f"{what} is empty{but}")
    if len(text) > most:
        problem = f"{what} has {len(text)} characters, at most {most} fit"
        raise CapabilityError("ValueError", problem)


def check_tags(tags: Sequence[str]) -> None:
    """Refuse too many tags, or one that is no word.

    Raises:
        CapabilityError: says what is wrong.
    """
    if len(tags) > _MAX_TAGS:
        raise CapabilityError("ValueError", f"{len(tags)} tags were given, at most {_MAX_TAGS} fit")
    for tag in tags:
        check_length("a tag", tag, most=MAX_NAME_CHARS)


def _counted(names: Iterable[str], *, most: int | None) -> dict[str, int]:
    return dict(Counter(names).most_common(most))
