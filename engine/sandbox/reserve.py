"""Memory kept back from model code, so that a block which fills all the rest can still be told of.

It is address space alone: nothing is ever written there, and it takes no RAM. It is held from one
block to the next and given back only where memory is short, so that most blocks pay nothing.
"""

from collections.abc import Callable
from typing import TypeVar

from engine.sandbox import kernel

_SIZES_BYTES = (8 << 20, 4 << 20, 2 << 20, 1 << 20)
"""The most that can be had; all is needed for an answer as large as may be."""
_CRUMB_BYTES = 8 << 10
"""What giving back itself may need: where small objects fill the memory, even a number has no room.
"""

T = TypeVar("T")


class Reserve:
    """Room for what is not model code; who is refused memory gets this and tries again."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._start = 0
        self._crumb = b""
        self._size_bytes = 0

    def take(self) -> None:
        """Hold as much as can be had, unless some is held already."""
        for size in () if self._size_bytes else _SIZES_BYTES:
            try:
                self._crumb = bytes(_CRUMB_BYTES)
                self._start = kernel.map_nothing(size)
            except (OSError, MemoryError):
                continue
            self._size_bytes = size
            return

    def release(self) -> None:
        """Give back what is held."""
        self._crumb = b""
        size, self._size_bytes = self._size_bytes, 0
        if size:
            kernel.unmap(self._start, size)

    def spared(self, act: Callable[[], T]) -> T:
        """Return what `act` returns; if it lacks memory, it is called again with the reserve.

        Raises:
            MemoryError: that was not enough.
        """
        try:
            return act()
        except MemoryError:
            self.release()
        return act()
