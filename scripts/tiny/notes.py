"""The events of one investigation, kept in memory."""

from engine.events import Event


class Notes:
    """A record for measuring and for teaching: nothing in it is durable, nor needs to be."""

    def __init__(self) -> None:
        """Start without events."""
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        """Take the event."""
        self.events.append(event)

    async def secure(self) -> None:
        """Do nothing: there is nothing to make durable."""

    async def commit(self) -> None:
        """Do nothing: there is nothing to make durable."""
