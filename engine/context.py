"""What fits the model's window, and what is kept when it fills up. Pure.

A conversation that reaches 80 % of the window is summarised by the model itself, five to one, and
goes on as: system message, the open experiment's prompt with the summary, and the last turns whole.
"""

from collections.abc import Iterable, Sequence

from engine.events import CompletionReceived
from engine.transcript import Message

MIN_REPLY_TOKENS = 64
"""With less room than this no reply is asked for: a block of code would be cut."""
_CHARS_PER_TOKEN = 2.5
"""Deliberately low, so that text the server has not counted yet is over-estimated."""
_MESSAGE_OVERHEAD_TOKENS = 8
"""Role marks that a chat template puts around one message."""
_FULL_SHARE = 0.8
_NEAR_SHARE = 0.6
_COMPRESSION = 5
_RECENT_SHARES = ((10_000, 0.15), (4_000, 0.20), (0, 0.25))
"""(window of at least, share of it that the last turns may keep)."""


def prompt_tokens(counted: CompletionReceived | None, uncounted: Iterable[str]) -> int:
    """Return an estimate of the next prompt: what was counted last plus the texts since."""
    known = counted.completion.usage.prompt_tokens + _kept_tokens(counted) if counted else 0
    return known + text_tokens(uncounted)


def _kept_tokens(reply: CompletionReceived) -> int:
    """Return an upper estimate of what goes on of a reply: neither a foreign part nor a reasoning.

    A reasoning is counted and not seen; but no tokenizer makes more tokens of a text than it has
    bytes.
    """
    n_tokens, text = reply.completion.usage.completion_tokens, reply.own_text
    if reply.own_chars is not None:
        return min(n_tokens, text_tokens([text]))
    if n_tokens <= len(text):
        return n_tokens
    return min(n_tokens, len(text.encode()) + _MESSAGE_OVERHEAD_TOKENS)


def text_tokens(texts: Iterable[str]) -> int:
    """Return an upper estimate of the tokens of messages that the server has not counted."""
    return sum(int(len(text) / _CHARS_PER_TOKEN) + _MESSAGE_OVERHEAD_TOKENS for text in texts)


def reply_tokens(window: int | None, prompt: int, wanted: int) -> int:
    """Return how many tokens the next reply may have, so that prompt and reply fit the window.

    0 when there is no room for a reply worth asking for. `window` None: not known, no limit.
    """
    if window is None:
        return wanted
    room = window - prompt
    return min(wanted, room) if room >= MIN_REPLY_TOKENS else 0


def is_full(window: int | None, prompt: int) -> bool:
    """Whether the conversation has to be summarised before the next reply is asked for."""
    return window is not None and prompt >= _FULL_SHARE * window


def is_near_full(window: int | None, prompt: int) -> bool:
    """Whether it matters that `prompt` is an estimate."""
    return window is not None and prompt >= _NEAR_SHARE * window


def recent(
    window: int, prompt: int, messages: Sequence[Message], *, after: int
) -> tuple[Message, ...]:
    """Return the last turns that may stay whole: from a reply on, and at the least the last one.

    None from before the message at `after`: it opened the experiment.
    """
    tokens_per_char = prompt / max(1, _n_chars(messages))
    room = window * next(share for least, share in _RECENT_SHARES if window >= least)
    replies = [n for n, m in enumerate(messages) if m.role == "assistant" and n > after]
    fitting = [n for n in replies if _n_chars(messages[n:]) * tokens_per_char <= room]
    first = fitting[0] if fitting else replies[-1] if replies else len(messages)
    return tuple(messages[first:])


def summary_tokens(prompt: int, messages: Sequence[Message], kept: Sequence[Message]) -> int:
    """Return how long a summary of `messages` but those `kept` may be: a fifth of them."""
    share = 1 - share_of(kept, messages)
    return max(MIN_REPLY_TOKENS, int(prompt * share) // _COMPRESSION)


def share_of(some: Iterable[Message], messages: Iterable[Message]) -> float:
    """Return how much of `messages` are `some` of them, by their characters."""
    return _n_chars(some) / max(1, _n_chars(messages))


def _n_chars(messages: Iterable[Message]) -> int:
    return sum(len(message.content) for message in messages)
