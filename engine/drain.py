"""A run that is to stop at the next turn boundary of each investigation, and why."""

from collections.abc import Callable

from engine.errors import DrainedError


class Drain:
    """Closed at first; once begun it goes on to the end."""

    def __init__(self) -> None:
        """Let everything go on."""
        self.reason: str | None = None
        """Why the run is to stop; None while it is not."""
        self._listeners: list[Callable[[], None]] = []

    def begin(self, reason: str) -> None:
        """Let nothing new begin; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            for listener in self._listeners:
                listener()

    @property
    def is_heard(self) -> bool:
        """True when there is something that would stop."""
        return bool(self._listeners)

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called when it begins, now if it has."""
        self._listeners.append(listener)
        if self.reason is not None:
            listener()

    def check(self) -> None:
        """Let the caller go on with something new.

        Raises:
            DrainedError: it has begun.
        """
        if self.reason is not None:
            raise DrainedError(self.reason)
