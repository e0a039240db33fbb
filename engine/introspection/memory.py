"""Capability `memory`: the findings of one investigation. Docstrings are help text for models.

State is the list of findings and nothing else, in the order in which they were recorded; there is
no clock in it, so that re-applying the recorded calls gives the same state.
"""

from engine.errors import CapabilityError
from engine.introspection.findings import (
    MAX_CHARS,
    MAX_NAME_CHARS,
    Finding,
    Findings,
    as_dict,
    check_length,
    check_tags,
)

_MAX_RETURNED = 100
_MAX_SUMMARISED = 2000
"""Characters of one description in the summary."""


class Memory:
    """Your notes: store what you find, and search it later.

    Every observation has a category of your choice. The categories 'pattern', 'theory' and
    'belief' have functions of their own to read them.
    """

    def __init__(self) -> None:
        """Start without findings."""
        self._findings = Findings()

    def record_observation(
        self,
        description: str,
        category: str = "general",
        importance: float = 0.5,
        tags: list[str] | None = None,
        metadata: dict[str, object] | None = None,
    ) -> dict[str, object]:
        """Store one observation.

        Args:
            description: what you found, in your words.
            category: any word, such as 'architecture', 'pattern', 'theory' or 'belief'.
            importance: 0 (minor) to 1 (central).
            tags: at most 20 words to find it by.
            metadata: values that belong to it, such as {"mean": 0.1}.

        Returns:
            dict with id (1 for the first one), category and n_observations (stored so far).

        Example:
            memory.record_observation("The embeddings are tied.", category="architecture")
        """
        check_length("description", description, most=MAX_CHARS)
        check_length("category", category.strip() or "general", most=MAX_NAME_CHARS)
        check_tags(tags or ())
        if not 0 <= importance <= 1:
            problem = f"importance must be between 0 and 1, not {importance:g}"
            raise CapabilityError("ValueError", problem)
        finding = self._findings.add(
            Finding(
                id=len(self._findings) + 1,
                description=description,
                category=category.strip() or "general",
                importance=importance,
                tags=tuple(tags or ()),
                metadata=metadata or {},
            )
        )
        return {
            "id": finding.id,
            "category": finding.category,
            "n_observations": len(self._findings),
        }

    async def query_observations(
        self,
        query: str | None = None,
        category: str | None = None,
        tags: list[str] | None = None,
        min_importance: float = 0.0,
        limit: int = 20,
    ) -> list[dict[str, object]]:
        """Search your observations; without arguments, the latest ones.

        Args:
            query: words to look for in descriptions, categories and tags; any of them may match.
            category: only this category, case aside.
            tags: only observations that have all of these.
            min_importance: only observations of at least this importance, 0 to 1.
            limit: how many to return, 1 to 100.

        Returns:
            list of dicts with id, description, category, importance, tags and metadata. With a
            query the best match comes first, else the latest.

        Example:
            print(memory.query_observations("embeddings"))
        """
        wanted = {tag.lower() for tag in tags or ()}
        found = [
            finding
            for finding in await self._findings.search(query)
            if (category is None or finding.category.lower() == category.strip().lower())
            and wanted <= {tag.lower() for tag in finding.tags}
            and finding.importance >= min_importance
        ]
        return [as_dict(finding) for finding in found[: max(1, min(limit, _MAX_RETURNED))]]

    async def query_patterns(
        self, query: str | None = None, limit: int = 20
    ) -> list[dict[str, object]]:
        """Search the observations stored with category 'pattern'.

        Args:
            query: words to look for; without it, the latest ones.
            limit: how many to return, 1 to 100.

        Returns:
            list of dicts as in query_observations.

        Example:
            print(memory.query_patterns())
        """
        return await self.query_observations(query, category="pattern", limit=limit)

    async def query_theories(
        self, query: str | None = None, limit: int = 20
    ) -> list[dict[str, object]]:
        """Search the observations stored with category 'theory'.

        Args:
            query: words to look for; without it, the latest ones.
            limit: how many to return, 1 to 100.

        Returns:
            list of dicts as in query_observations.

        Example:
            print(memory.query_theories("layers"))
        """
        return await self.query_observations(query, category="theory", limit=limit)

    async def query_beliefs(
        self, query: str | None = None, limit: int = 20
    ) -> list[dict[str, object]]:
        """Search the observations stored with category 'belief'.

        Args:
            query: words to look for; without it, the latest ones.
            limit: how many to return, 1 to 100.

        Returns:
            list of dicts as in query_observations.

        Example:
            print(memory.query_beliefs())
        """
        return await self.query_observations(query, category="belief", limit=limit)

    def get_memory_summary(self) -> dict[str, object]:
        """Summarise what you have stored.

        Returns:
            dict with n_observations, categories (name -> count), tags (the 10 most used, tag ->
            count) and most_important (the 3 most important, id -> description, or its beginning).

        Example:
            print(memory.get_memory_summary())
        """
        by_importance = sorted(self._findings.all, key=lambda each: (-each.importance, each.id))
        return {
            "n_observations": len(self._findings),
            "categories": self.list_categories(),
            "tags": self._findings.tags(most=10),
            "most_important": {
                str(each.id): each.description[:_MAX_SUMMARISED] for each in by_importance[:3]
            },
        }

    def list_categories(self) -> dict[str, int]:
        """Return the categories that you have used.

        Returns:
            dict of category -> number of observations.

        Example:
            print(memory.list_categories())
        """
        return self._findings.categories()
