"""The seam to a model: a chat backend turns messages into a completion."""

from typing import Protocol

import msgspec

from engine.transcript import Completion, Conversation


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that shapes one completion."""

    conversation: Conversation
    seed: int
    """Non-negative, below 2**31: what both vLLM and llama.cpp accept."""
    temperature: float
    top_p: float
    max_tokens: int
    """Most tokens that the reply may have."""


class ChatBackend(Protocol):
    """Asks one served model. Safe to call from many investigations at once."""

    async def complete(self, request: ChatRequest) -> Completion:
        """Return the model's reply.

        Raises:
            ContextOverflowError: the conversation does not fit the model's window.
            ChatError: no completion, after the retries that the backend makes by itself.
        """
        ...
