"""A conversation that fills its window, made shorter by the model's own summary. Pure.

What goes on: the system message, the message that opened the experiment with the summary, and the
last turns whole. The journal keeps everything.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from engine.chat import ChatRequest
from engine.context import recent, reply_tokens, summary_tokens, text_tokens
from engine.errors import ContextOverflowError
from engine.phase import Phase
from engine.prompts import render
from engine.standing import Standing
from engine.transcript import Conversation, Message

_WORDS_PER_TOKEN = 0.7
_N_FIXED = 2
"""Messages that no summary replaces: the system message and the opening."""


def summary_requests(
    phase: Phase, standing: Standing, *, window: int | None, prompt: int, seed: int
) -> tuple[ChatRequest, ChatRequest]:
    """Return the request for a summary: the conversation with a question at its end.

    What was sent before stays its prefix, so that the server need not read it again. The second
    request is for a server that finds this too long: it leaves out the last turns, which stay.

    Raises:
        ContextOverflowError: there is nothing that a summary could replace.
    """
    messages = standing.conversation.messages
    kept = _kept(standing, window, prompt)
    going = messages[: len(messages) - len(kept)]
    if len(going) <= _N_FIXED:
        raise ContextOverflowError(f"{prompt} tokens: the prompt alone fills the window")
    target = summary_tokens(prompt, messages, kept)
    question = render(phase.texts.summarise, n_words=int(target * _WORDS_PER_TOKEN))
    asked = prompt + text_tokens([question])
    max_tokens = reply_tokens(window, asked, target + phase.compaction.spare_tokens)
    if not max_tokens:
        raise ContextOverflowError(f"{prompt} tokens leave no room for a summary in {window}")
    whole = ChatRequest(
        conversation=_asked(messages, question),
        seed=seed,
        temperature=phase.compaction.temperature,
        top_p=phase.sampling.top_p,
        max_tokens=max_tokens,
    )
    return whole, replace(whole, conversation=_asked(going, question))


def compacted(
    phase: Phase, standing: Standing, summary: str, *, window: int | None, prompt: int
) -> tuple[Message, ...]:
    """Return the messages with which the conversation goes on."""
    opening = render(phase.texts.summarised, opening=standing.opening, summary=summary.strip())
    system = standing.conversation.messages[0]
    return (system, Message("user", opening), *_kept(standing, window, prompt))


def _asked(messages: Sequence[Message], question: str) -> Conversation:
    last = Message("user", f"{messages[-1].content}\n\n{question}")
    return Conversation((*messages[:-1], last))


def _kept(standing: Standing, window: int | None, prompt: int) -> tuple[Message, ...]:
    """Return the last turns that stay; none, when the experiment has only been opened."""
    messages = standing.conversation.messages
    is_opened_only = messages[-1].content == standing.opening
    return () if is_opened_only else recent(window or prompt, prompt, messages)
