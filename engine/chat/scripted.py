"""A chat backend without a model: replies come from a function or a list. For tests and replay."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import time

from engine.chat import ChatRequest
from engine.errors import ContextOverflowError
from engine.transcript import Completion, Conversation, Usage

Answer = str | Completion
Script = Callable[[Conversation, int], Answer]
"""Conversation and seed to reply. Raising a ChatError stands for an endpoint that fails so."""

_BYTES_PER_TOKEN = 4


def in_order(replies: Sequence[Answer]) -> Script:
    """Return a script that gives reply k to a conversation with k assistant messages.

    The last reply is repeated. It depends on the conversation only, so that investigations may
    run side by side, or go on after an interruption.
    """

    def script(conversation: Conversation, _seed: int) -> Answer:
        n_given = sum(message.role == "assistant" for message in conversation.messages)
        return replies[min(n_given, len(replies) - 1)]

    return script


class ScriptedBackend:
    """Answers from a script. A token is four bytes, both of the prompt and of the reply."""

    def __init__(
        self,
        script: Script,
        *,
        latency_s: float = 0.0,
        max_model_len: int | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time,
    ) -> None:
        """Answer with `script` after `latency_s`; `max_model_len` is the window in tokens."""
        self._script = script
        self._latency_s = latency_s
        self._max_model_len = max_model_len
        self._sleep = sleep
        self._clock = clock

    async def complete(self, request: ChatRequest) -> Completion:
        """Return the script's reply, cut at `max_tokens` as a server would cut it.

        Raises:
            ContextOverflowError: prompt and `max_tokens` exceed the window.
            ChatError: the script raised it.
        """
        sent = self._clock()
        await self._sleep(self._latency_s)
        n_prompt = _tokens(len(request.conversation.encoded()))
        self._check_window(n_prompt + request.max_tokens)
        answer = self._script(request.conversation, request.seed)
        if isinstance(answer, Completion):
            return answer
        return self._completion(answer, request.max_tokens, n_prompt, sent)

    def _check_window(self, n_tokens: int) -> None:
        if self._max_model_len is not None and n_tokens > self._max_model_len:
            message = f"{n_tokens} tokens do not fit the window of {self._max_model_len}"
            raise ContextOverflowError(message, status=400)

    def _completion(self, text: str, max_tokens: int, n_prompt: int, sent: float) -> Completion:
        whole = text.encode()
        given = whole[: max_tokens * _BYTES_PER_TOKEN]
        return Completion(
            text=given.decode(errors="ignore"),
            finish_reason="stop" if given == whole else "length",
            usage=Usage(prompt_tokens=n_prompt, completion_tokens=_tokens(len(given))),
            sent=sent,
            received=self._clock(),
        )


def _tokens(n_bytes: int) -> int:
    return -(-n_bytes // _BYTES_PER_TOKEN)
