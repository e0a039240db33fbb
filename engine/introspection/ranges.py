"""Parts of files that are far away, fetched in whole pieces and kept within bounds."""

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from engine.introspection.files import Bytes

PIECE_BYTES = 512 << 10
"""What is fetched at least, and kept or dropped as a whole."""
AHEAD_PIECES = 16
"""Pieces that are fetched at once when a file is read on and on: 8 MiB."""
KEPT_BYTES = 64 << 20

Fetch = Callable[[str, int, int], bytes]
"""(file, first byte, number of bytes) -> exactly those bytes, or OSError."""
_Key = tuple[str, int]


class Ranges:
    """Bytes of the files of one folder, fetched when they are read. For threads."""

    def __init__(self, fetch: Fetch, *, kept_bytes: int = KEPT_BYTES) -> None:
        """Get bytes by `fetch`, and keep the `kept_bytes` that were used last."""
        self._fetch = fetch
        self._most = max(AHEAD_PIECES, kept_bytes // PIECE_BYTES)
        self._pieces: OrderedDict[_Key, Bytes] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, name: str, *, first: int, count: int, n_bytes: int) -> Bytes:
        """Return `count` bytes of the file `name`, which has `n_bytes`, from byte `first` on.

        Raises:
            OSError: they cannot be had.
        """
        end = min(first + count, n_bytes)
        if first >= end:
            return np.empty(0, np.uint8)
        start, stop = first // PIECE_BYTES, -(-end // PIECE_BYTES)
        pieces: list[Bytes] = []
        while start + len(pieces) < stop:
            pieces += self._some(name, start + len(pieces), stop, n_bytes)
        whole = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return whole[first - start * PIECE_BYTES :][: end - first]

    def _some(self, name: str, place: int, stop: int, n_bytes: int) -> list[Bytes]:
        """Return pieces from `place` on: one that is kept, or all that one fetch brings."""
        with self._lock:
            if (kept := self._pieces.get((name, place))) is not None:
                self._pieces.move_to_end((name, place))
                return [kept]
            is_read_on = (name, place - 1) in self._pieces
        n_missing = stop - place
        n_wanted = AHEAD_PIECES if is_read_on else min(n_missing, AHEAD_PIECES)
        first = place * PIECE_BYTES
        count = min(n_wanted * PIECE_BYTES, n_bytes - first)
        fetched = np.frombuffer(self._fetch(name, first, count), np.uint8)
        # Copies, so that a piece that is kept does not keep all that came with it.
        pieces = [fetched[at : at + PIECE_BYTES].copy() for at in range(0, count, PIECE_BYTES)]
        self._keep(name, place, pieces)
        return pieces[:n_missing]

    def _keep(self, name: str, place: int, pieces: list[Bytes]) -> None:
        with self._lock:
            for offset, piece in enumerate(pieces):
                piece.setflags(write=False)
                self._pieces[name, place + offset] = piece
            while len(self._pieces) > self._most:
                self._pieces.popitem(last=False)
