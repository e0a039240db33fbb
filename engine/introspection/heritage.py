"""Capability `heritage`: documents that can be read, and notes left beside them.

Docstrings are help text for models. They say nothing that only one set of documents has. State is
the list of notes, in the order in which they were left, without a clock.
"""

from engine.errors import CapabilityError
from engine.introspection.documents import Document, Documents
from engine.introspection.findings import MAX_CHARS, check_length
from engine.introspection.names import unknown_name

_MAX_RETURNED = 40
_MAX_NOTES = 1000


class Heritage:
    """Documents that an earlier system left, and what you leave yourself."""

    def __init__(self, documents: Documents) -> None:
        """Answer from `documents`."""
        self._documents = documents
        self._n_notes: dict[str, int] = {}

    def get_summary(self) -> dict[str, object]:
        """Summarise the documents: how many there are, and in which order to read them.

        Returns:
            dict with n_documents, n_words (all documents together) and reading_order (name ->
            title).

        Example:
            print(heritage.get_summary())
        """
        found = self._documents.all
        return {
            "n_documents": len(found),
            "n_words": sum(document.n_words for document in found),
            "reading_order": {document.name: document.title for document in found},
        }

    def list_documents(self) -> list[dict[str, object]]:
        """List the documents in their reading order.

        Returns:
            list of dicts with name, title and n_words.

        Example:
            print(heritage.list_documents())
        """
        return [
            {"name": document.name, "title": document.title, "n_words": document.n_words}
            for document in self._documents.all
        ]

    def read_document(self, document_name: str) -> dict[str, object]:
        """Read one document.

        Args:
            document_name: name of a document, as list_documents() gives it.

        Returns:
            dict with name, title and text (Markdown).

        Example:
            name = heritage.list_documents()[0]["name"]
            print(heritage.read_document(name)["text"])
        """
        document = self._document(document_name)
        return {"name": document.name, "title": document.title, "text": document.text}

    async def query_documents(self, query: str, limit: int = 5) -> list[dict[str, object]]:
        """Search the documents, paragraph by paragraph.

        Args:
            query: words to look for; any of them may match.
            limit: how many paragraphs to return, 1 to 40.

        Returns:
            list of dicts with name (of the document), title and passage (text). Best match
            first.

        Example:
            print(heritage.query_documents("evidence question", limit=2))
        """
        found = await self._documents.search(query)
        return [
            {"name": each.document.name, "title": each.document.title, "passage": each.text}
            for each in found[: max(1, min(limit, _MAX_RETURNED))]
        ]

    def save_reflection(self, reflection: str) -> dict[str, object]:
        """Leave a reflection of your own beside the documents.

        Args:
            reflection: your text.

        Returns:
            dict with kind ('reflection') and n_stored (of this kind so far).

        Example:
            heritage.save_reflection("I measured before I read.")
        """
        return self._left("reflection", {"reflection": reflection})

    def record_discovery(
        self,
        discovery_type: str,
        description: str,
        evidence: dict[str, object] | None = None,
    ) -> dict[str, object]:
        """Leave a discovery of your own beside the documents.

        Args:
            discovery_type: any word, such as 'architecture'.
            description: what you found, in your words.
            evidence: values that support it, such as {"n_layers": 4}.

        Returns:
            dict with kind ('discovery') and n_stored (of this kind so far).

        Example:
            heritage.record_discovery("architecture", "All layers have the same shape.")
        """
        _ = evidence  # kept where every call is kept: in the journal
        texts = {"discovery_type": discovery_type, "description": description}
        return self._left("discovery", texts)

    def create_message_to_claude(self, message: str) -> dict[str, object]:
        """Leave a message for whoever wrote the documents.

        Args:
            message: your text.

        Returns:
            dict with kind ('message') and n_stored (of this kind so far).

        Example:
            heritage.create_message_to_claude("I read what you left.")
        """
        return self._left("message", {"message": message})

    def _document(self, name: str) -> Document:
        named = {document.name: document for document in self._documents.all}
        wanted = name.removesuffix(".md")
        if wanted not in named:
            see = "heritage.list_documents()"
            raise unknown_name("document", name, known=list(named), see=see)
        return named[wanted]

    def _left(self, kind: str, texts: dict[str, str]) -> dict[str, object]:
        for what, text in texts.items():
            check_length(what, text, most=MAX_CHARS)
        n_stored = self._n_notes.get(kind, 0) + 1
        if n_stored > _MAX_NOTES:
            raise CapabilityError("ValueError", f"{_MAX_NOTES} of kind {kind!r} are stored already")
        self._n_notes[kind] = n_stored
        return {"kind": kind, "n_stored": n_stored}
