"""What fits the model's window. Pure policy over what the server counted."""

from collections.abc import Iterable

from engine.transcript import Usage

MIN_REPLY_TOKENS = 64
"""With less room than this no reply is asked for: a block of code would be cut."""
_CHARS_PER_TOKEN = 2.5
"""Deliberately low, so that text the server has not counted yet is over-estimated."""
_MESSAGE_OVERHEAD_TOKENS = 8
"""Role marks that a chat template puts around one message."""


def prompt_tokens(counted: Usage | None, uncounted: Iterable[str]) -> int:
    """Return an estimate of the next prompt: what was counted last plus the texts since."""
    known = counted.prompt_tokens + counted.completion_tokens if counted else 0
    return known + sum(
        int(len(text) / _CHARS_PER_TOKEN) + _MESSAGE_OVERHEAD_TOKENS for text in uncounted
    )


def reply_tokens(window: int | None, prompt: int, wanted: int) -> int:
    """Return how many tokens the next reply may have, so that prompt and reply fit the window.

    0 when there is no room for a reply worth asking for. `window` None: not known, no limit.
    """
    if window is None:
        return wanted
    room = window - prompt
    return min(wanted, room) if room >= MIN_REPLY_TOKENS else 0
