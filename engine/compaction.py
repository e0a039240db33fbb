"""A conversation that fills its window, made shorter by the model's own summary. Pure.

What goes on: the system message, the message that opened the experiment with the summary, and the
last turns whole. The journal keeps everything.

Where the summary is blank, the whole conversation goes on: it is asked for once more, and without
any the window is used to its end.
"""

from collections.abc import Sequence

from engine.chat import ChatRequest
from engine.context import recent, reply_tokens, share_of, summary_tokens, text_tokens
from engine.errors import ContextOverflowError
from engine.phase import Phase
from engine.prompts import render
from engine.standing import Standing
from engine.transcript import Conversation, Message

_WORDS_PER_TOKEN = 0.7
_MOST_BLANK = 2
"""Blank summaries in a row after which none is asked for."""
_N_FIXED = 2
"""Messages that no summary replaces: the system message and the opening."""


def summary_requests(
    phase: Phase, standing: Standing, *, window: int | None, prompt: int, seed: int
) -> tuple[ChatRequest, ...]:
    """Return requests for a summary, in the order in which to try them.

    The first is the conversation with a question at its end: what was sent before stays its
    prefix, so that the server need not read it again. The second leaves out the last turns, which
    stay; it is for where the first is too long. It is the only one after a blank summary, and has
    the room of a reply: a reasoning that is not shown may have spent what the first one had.

    Raises:
        ContextOverflowError: there is nothing that a summary could replace, no room for one, or
            the last ones were blank.
    """
    if standing.n_blank >= _MOST_BLANK:
        raise ContextOverflowError(f"the last {standing.n_blank} summaries were blank")
    messages = standing.conversation.messages
    kept = _kept(standing, window, prompt)
    going = messages[: len(messages) - len(kept)]
    if len(going) <= _N_FIXED:
        raise ContextOverflowError(f"{prompt} tokens: the prompt alone fills the window")
    target = summary_tokens(prompt, messages, kept)
    question = render(phase.texts.summarise, n_words=int(target * _WORDS_PER_TOKEN))
    wanted = _wanted(phase, standing, target)

    def asking(about: Sequence[Message]) -> ChatRequest:
        asked = int(prompt * share_of(about, messages)) + text_tokens([question])
        return ChatRequest(
            conversation=_asked(about, question),
            seed=seed,
            temperature=phase.compaction.temperature,
            top_p=phase.sampling.top_p,
            max_tokens=reply_tokens(window, asked, wanted),
        )

    abouts = (messages, going) if kept and not standing.n_blank else (going,)
    requests = tuple(each for each in map(asking, abouts) if each.max_tokens)
    if not requests:
        raise ContextOverflowError(f"{prompt} tokens leave no room for a summary in {window}")
    return requests


def compacted(
    phase: Phase, standing: Standing, summary: str, *, window: int | None, prompt: int
) -> tuple[Message, ...]:
    """Return the messages with which the conversation goes on; none where the summary is blank."""
    if not summary.strip():
        return ()
    opening = render(phase.texts.summarised, opening=standing.opening, summary=summary.strip())
    system = standing.conversation.messages[0]
    return (system, Message("user", opening), *_kept(standing, window, prompt))


def _wanted(phase: Phase, standing: Standing, target: int) -> int:
    """Return how many tokens a summary may have, a reasoning that is not shown included."""
    wanted = target + phase.compaction.spare_tokens
    return max(wanted, phase.sampling.max_tokens) if standing.n_blank else wanted


def _asked(messages: Sequence[Message], question: str) -> Conversation:
    last = Message("user", f"{messages[-1].content}\n\n{question}")
    return Conversation((*messages[:-1], last))


def _kept(standing: Standing, window: int | None, prompt: int) -> tuple[Message, ...]:
    """Return the last turns that stay; none, when the experiment has only been opened."""
    messages = standing.conversation.messages
    openings = [n for n, message in enumerate(messages) if message.content == standing.opening]
    return recent(window or prompt, prompt, messages, after=max(openings, default=1))
