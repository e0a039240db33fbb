"""Memory in which arrays travel to workers: sealed by the kernel, so that it never changes again.

One piece of memory holds all arrays of an answer. Workers that ask for the same numbers share it,
and as long as one of them holds it, it is on the shelf.
"""

import asyncio
import os
import struct
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate, islice

import numpy as np

from engine.errors import CapabilityError
from engine.sandbox.arrays import WHOLE, Arrays, Description, described
from engine.sandbox.protocol import MAX_DOWN_BYTES, Placed

MAX_ARRAY_BYTES = 256 << 20
"""All arrays of one answer."""
MAX_SHELF_BYTES = 512 << 20
"""Kept for the next who asks, what workers hold included; that alone may be more."""

_MAX_BY_VALUE_BYTES = MAX_DOWN_BYTES - (2 << 20)
_ALIGNMENT_BYTES = 64
_LOOKS = 4
"""Pieces of memory that are looked at, for each that is made, whether they can be let go."""
_LOCK = struct.Struct("hhqqi0q")
"""The kernel's `struct flock`: kind, whence, start, length and process."""
_END = 1 << 62
"""Beyond the number of any holder."""


class SealedMemory:
    """A file in memory that nobody can write, grow or shrink any more, its own maker included."""

    def __init__(self, arrays: Arrays) -> None:
        """Hold a copy of `arrays`; the descriptor is closed when this object goes."""
        import fcntl

        self.fd = os.memfd_create("arrays", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        weakref.finalize(self, os.close, self.fd)
        self.size_bytes = _total_bytes(arrays)
        os.ftruncate(self.fd, self.size_bytes)
        for start, piece in _pieces(arrays):
            _write(self.fd, start, piece)
        # The last one: no seal can be added, and none could ever be taken off.
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)

    @property
    def is_held(self) -> bool:
        """Whether anybody has a loan of it."""
        return self._holder(0, _END) is not None

    def holders(self) -> list[int]:
        """Return who has a loan of it."""
        found: list[int] = []
        ranges = [(0, _END)]
        while ranges:
            start, end = ranges.pop()
            holder = self._holder(start, end)
            if holder is not None:
                found.append(holder)
                ranges += [(start, holder), (holder + 1, end)]
        return found

    def _holder(self, start: int, end: int) -> int | None:
        """Return a holder whose number is in this range."""
        import fcntl

        if start == end:
            return None
        asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, end - start, 0)
        kind, _, holder, _, _ = _LOCK.unpack(fcntl.fcntl(self.fd, fcntl.F_OFD_GETLK, asked))
        # A loan is one byte: a lock that begins before the range is none.
        return None if kind == fcntl.F_UNLCK or holder < start else holder


class Loan:
    """A descriptor of sealed memory that shows, wherever it goes, who holds the memory.

    One byte of the file, at the number of the holder, is locked for reading. The kernel keeps that
    lock until nothing refers to this opening of the file any more: no copy of the descriptor, no
    message that is not read yet, no mapping.
    """

    def __init__(self, memory: SealedMemory, holder: int) -> None:
        """Lend `memory` to `holder`.

        Raises:
            OSError: this machine cannot show who holds it, or no descriptor is left.
        """
        import fcntl

        self.memory = memory
        self.fd = os.open(f"/proc/self/fd/{memory.fd}", os.O_RDONLY | os.O_CLOEXEC)
        self.close = weakref.finalize(self, os.close, self.fd)
        """Give back what has not been sent on."""
        lock = _LOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, holder, 1, 0)
        fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, lock)


class Parcel:
    """Arrays on their way: where each lies in the memory that comes along."""

    def __init__(self, descriptions: Mapping[str, Description], content: Loan | bytes) -> None:
        """Send `content`, in which the arrays lie one after another in this order."""
        self.descriptions = descriptions
        self.loan = content if isinstance(content, Loan) else None
        self.memory = None if self.loan is None else self.loan.memory
        self.data = content if isinstance(content, bytes) else b""
        self.size_bytes = len(self.data) if self.memory is None else self.memory.size_bytes

    def placed(self) -> tuple[Placed, ...]:
        """Return the place of every array."""
        starts = _starts([_size_bytes(one) for one in self.descriptions.values()])
        return tuple(
            Placed(key, one.dtype, one.shape, start)
            for (key, one), start in zip(self.descriptions.items(), starts, strict=False)
        )


class Shelf:
    """Makes the memory of answers, and keeps the latest for the next who asks."""

    def __init__(
        self,
        *,
        has_sealed_memory: bool = True,
        kept_bytes: int = MAX_SHELF_BYTES,
    ) -> None:
        """Keep up to `kept_bytes`; without sealed memory arrays are sent by value."""
        self._has_sealed_memory = has_sealed_memory and _is_sealed_memory_shown()
        self._kept_bytes = kept_bytes
        self._cap_bytes = MAX_ARRAY_BYTES if self._has_sealed_memory else _MAX_BY_VALUE_BYTES
        self._kept: dict[tuple[str, ...], SealedMemory] = {}

    @property
    def size_bytes(self) -> int:
        """All that workers hold, and what is kept for the next who asks."""
        return sum(kept.size_bytes for kept in self._kept.values())

    async def parcel(self, arrays: Arrays, holder: int = 0) -> Parcel:
        """Lay `arrays` out for `holder`.

        Raises:
            CapabilityError: they are too large.
        """
        size = sum(array.nbytes for array in arrays.values())
        if size > self._cap_bytes:
            what = f"the arrays have {size:,} bytes, at most {self._cap_bytes:,} can be passed"
            raise CapabilityError("ValueError", what)
        descriptions = await asyncio.to_thread(described, arrays)
        if not self._has_sealed_memory:
            return Parcel(descriptions, _joined(arrays))
        name = tuple(one.blake2b for one in descriptions.values())
        memory = self._kept.get(name) or await asyncio.to_thread(SealedMemory, arrays)
        # Another who asked for the same may have been quicker.
        loan = Loan(self._kept.pop(name, memory), holder)
        self._keep(name, loan.memory)
        return Parcel(descriptions, loan)

    def _keep(self, name: tuple[str, ...], memory: SealedMemory) -> None:
        self._kept[name] = memory
        for oldest in list(islice(self._kept, _LOOKS)):
            if self.size_bytes <= self._kept_bytes:
                return
            kept = self._kept.pop(oldest)
            if kept.is_held:
                self._kept[oldest] = kept

    def shed(self) -> None:
        """Keep only what workers hold."""
        self._kept = {name: kept for name, kept in self._kept.items() if kept.is_held}

    def shares_bytes(self) -> Counter[int]:
        """Return what each holder accounts for: memory of several counts for each in part."""
        shares: Counter[int] = Counter()
        for kept in self._kept.values():
            holders = kept.holders()
            for holder in holders:
                shares[holder] += kept.size_bytes // len(holders)
        return shares

    def clear(self) -> None:
        """Keep nothing any more."""
        self._kept.clear()


def _is_sealed_memory_shown() -> bool:
    """Tell whether there is sealed memory on this machine that shows who holds it."""
    try:
        loan = Loan(SealedMemory({WHOLE: np.zeros(1)}), 1)
        return loan.memory.holders() == [1]
    except (AttributeError, OSError):
        return False


def _joined(arrays: Arrays) -> bytes:
    memory = bytearray(_total_bytes(arrays))
    for start, piece in _pieces(arrays):
        memory[start : start + len(piece)] = piece
    return bytes(memory)


def _pieces(arrays: Arrays) -> Iterator[tuple[int, memoryview]]:
    """Yield the bytes of each array and where they go."""
    starts = _starts([array.nbytes for array in arrays.values()])
    for start, array in zip(starts, arrays.values(), strict=False):
        yield start, array.reshape(-1).view(np.uint8).data


def _write(fd: int, start: int, piece: memoryview) -> None:
    while piece:
        n_written = os.pwrite(fd, piece, start)
        start, piece = start + n_written, piece[n_written:]


def _total_bytes(arrays: Arrays) -> int:
    """Return the size of the memory: never none, for there is no mapping of nothing."""
    return max(1, _starts([array.nbytes for array in arrays.values()])[-1])


def _starts(sizes_bytes: list[int]) -> list[int]:
    """Return where each piece begins, and at last where all of it ends."""
    rounded = (-(-size // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES for size in sizes_bytes)
    return list(accumulate(rounded, initial=0))


def _size_bytes(one: Description) -> int:
    return int(np.prod(one.shape, dtype=np.int64)) * np.dtype(one.dtype).itemsize
