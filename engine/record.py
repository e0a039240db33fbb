"""Where events go: what takes them, and who hears of them."""

from collections.abc import Callable
from typing import Protocol

from engine.events import Event

Hear = Callable[[Event], None]


class Record(Protocol):
    """What takes events: the journal, or what stands before it."""

    def append(self, event: Event) -> None:
        """Take the event."""
        ...

    async def secure(self) -> None:
        """Return once every completion taken is durable: none is ever asked for again."""
        ...

    async def commit(self) -> None:
        """Return once all events taken are durable."""
        ...


class Overheard:
    """A record that others hear of, in their order, after it has taken an event."""

    def __init__(self, record: Record, *hearers: Hear) -> None:
        """Pass everything on to `record`, then tell `hearers`."""
        self._record = record
        self._hearers = hearers
        self.secure = record.secure
        self.commit = record.commit

    def append(self, event: Event) -> None:
        """Record, then tell."""
        self._record.append(event)
        for hear in self._hearers:
            hear(event)
