"""Capability `generation`: how the engine runs this investigation. Docstrings are help text."""

from collections.abc import Callable

import msgspec

from engine.phase import Phase
from engine.standing import Standing
from engine.transcript import Usage


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


def generated(phase: Phase, standing: Standing, *, window: int | None) -> Generated:
    """Return the figures of an investigation of `phase` that stands at `standing`."""
    sampling, latest = phase.sampling, standing.counted or Usage()
    return Generated(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_reply_tokens=sampling.max_tokens,
        context_window_tokens=window,
        context_used_tokens=latest.prompt_tokens + latest.completion_tokens,
        n_replies=standing.n_replies,
        prompt_tokens=standing.replied.prompt_tokens,
        completion_tokens=standing.replied.completion_tokens,
        cached_tokens=standing.replied.cached_tokens,
        n_compactions=standing.n_compactions,
    )


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
