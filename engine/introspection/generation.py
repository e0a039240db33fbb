"""Capability `generation`: how the engine runs this investigation. Docstrings are help text."""

from collections.abc import Callable, Mapping

Report = Callable[[], Mapping[str, object]]
"""Returns the figures of this moment, JSON-like."""


class Generation:
    """Your generation: context window, tokens used, sampling."""

    def __init__(self, report: Report) -> None:
        """Answer with what `report` returns at the time of the call."""
        self._report = report

    def get_generation_info(self) -> dict[str, object]:
        """Return how your replies are generated, as of now.

        Returns:
            dict with the sampling settings (temperature, top_p, max_tokens per reply), the
            context window and the tokens used so far.

        Example:
            print(generation.get_generation_info())
        """
        return dict(self._report())
