"""Event loops for model code: without the sockets and the epoll that a sealed worker may not have.

What an event loop needs them for are other threads, signals and the network, of which there are
none in a worker. Timers, tasks and locks are all that is left, and they work as everywhere.
"""

import selectors
from asyncio import selector_events
from typing import Any


def make_bare() -> None:
    """Let every event loop of this process, and its children, do without."""
    # Where loops take it from.
    selectors.DefaultSelector = selectors.PollSelector
    kind: Any = selector_events.BaseSelectorEventLoop
    kind._make_self_pipe = _make_self_pipe  # noqa: SLF001 - the only place for it
    kind._close_self_pipe = _close_self_pipe  # noqa: SLF001


def _make_self_pipe(self: Any) -> None:  # noqa: ANN401 - asyncio does not tell the type
    """Begin without the sockets by which other threads would wake the loop."""
    self._ssock = self._csock = None


def _close_self_pipe(_self: Any) -> None:  # noqa: ANN401
    """Close nothing."""
