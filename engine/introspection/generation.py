"""Capability `generation`: how the engine runs this investigation. Docstrings are help text."""

from collections.abc import Callable

import msgspec


class Generated(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine has done for one investigation so far, as it really is."""

    temperature: float
    top_p: float
    max_reply_tokens: int
    context_window_tokens: int | None
    """None when the server does not say."""
    context_used_tokens: int
    """Prompt and reply of the latest completion."""
    n_replies: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    """Share of the prompt tokens that came from the server's prefix cache."""
    n_compactions: int


Report = Callable[[], Generated]
"""Returns the figures of this moment."""


class Generation:
    """Your generation: sampling, context window and tokens used."""

    def __init__(self, report: Report) -> None:
        """Answer with what `report` returns at the time of the call."""
        self._report = report

    def get_generation_info(self) -> dict[str, object]:
        """Return how your replies are generated, as of now.

        Returns:
            dict with temperature, top_p and max_reply_tokens (sampling); context_window_tokens
            (None if unknown) and context_used_tokens (latest prompt and reply); n_replies,
            prompt_tokens, completion_tokens and cached_tokens (prompt tokens that did not have
            to be computed again), summed over all replies; n_compactions (how often older
            messages were shortened to fit the window).

        Example:
            print(generation.get_generation_info())
        """
        return msgspec.structs.asdict(self._report())
