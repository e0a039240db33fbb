"""Who may compute now: blocks that have hardly begun, and as many others as there are cores.

Most blocks end within milliseconds. Several of them are with their workers at once, so that no core
idles until the host hears that one has ended. A block that goes on gets a core of its own, those
that used least time first, and after a slice gives way to one that has used less: a hundred endless
loops do not keep a short block waiting.
"""

import asyncio
import heapq
import itertools

_BRIEF_S = 0.02
"""Until it has used this, a block counts as one that has hardly begun."""
_BRIEF_PER_CORE = 8
_ROUND_S = 0.4
"""In this time everybody who waits shall have had a turn."""
_LONGEST_SLICE_S = 0.05
_SHORTEST_SLICE_S = 0.004


class Places:
    """A number of places, for which those that used least time are served first."""

    def __init__(self, n_places: int) -> None:
        """Let `n_places` blocks run at once."""
        self._n_places = n_places
        self._n_free = n_places
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._arrivals = itertools.count()

    async def take(self, used_s: float) -> None:
        """Wait for a place; who has used less time is served first."""
        if self._n_free:
            self._n_free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (used_s, next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Return a place."""
        while self._waiting:
            *_, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._n_free += 1

    @property
    def slice_s(self) -> float:
        """How long a block runs before it has to look whether another is more deserving."""
        share = _ROUND_S * self._n_places / max(1, len(self._waiting))
        return max(_SHORTEST_SLICE_S, min(_LONGEST_SLICE_S, share))

    def is_wanted(self, used_s: float) -> bool:
        """Tell whether somebody who has used less than `used_s` is waiting."""
        while self._waiting and self._waiting[0][2].done():
            heapq.heappop(self._waiting)
        return bool(self._waiting) and self._waiting[0][0] < used_s


class Cores:
    """The cores of the machine, shared by all blocks of a sandbox."""

    def __init__(self, n_cores: int) -> None:
        """Let `n_cores` blocks run at once, beside those that have hardly begun."""
        self._brief = Places(n_cores * _BRIEF_PER_CORE)
        self._lasting = Places(n_cores)

    def places(self, used_s: float) -> Places:
        """Return the places among which a block belongs that has used `used_s`."""
        return self._brief if used_s < _BRIEF_S else self._lasting
