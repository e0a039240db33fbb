"""Memory in which arrays travel to workers: sealed by the kernel, so that it never changes again.

One piece of memory holds all arrays of an answer. Workers that ask for the same numbers share it.
"""

import asyncio
import os
import weakref
from collections.abc import Iterator, Mapping
from itertools import accumulate

import numpy as np

from engine.errors import CapabilityError
from engine.sandbox.arrays import Arrays, Description, described
from engine.sandbox.protocol import MAX_DOWN_BYTES, Placed

MAX_ARRAY_BYTES = 256 << 20
"""All arrays of one answer."""
MAX_SHELF_BYTES = 512 << 20
"""Kept for the next who asks; what workers still hold comes on top."""

_MAX_BY_VALUE_BYTES = MAX_DOWN_BYTES - (2 << 20)
_ALIGNMENT_BYTES = 64


class SealedMemory:
    """A file in memory that nobody can write, grow or shrink any more, its own maker included."""

    def __init__(self, arrays: Arrays) -> None:
        """Hold a copy of `arrays`; the descriptor is closed when this object goes."""
        import fcntl

        self.fd = os.memfd_create("arrays", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        weakref.finalize(self, os.close, self.fd)
        self.inode = os.fstat(self.fd).st_ino
        self.size_bytes = _total_bytes(arrays)
        os.ftruncate(self.fd, self.size_bytes)
        for start, piece in _pieces(arrays):
            _write(self.fd, start, piece)
        # The last one: no seal can be added, and none could ever be taken off.
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, seals)


class Parcel:
    """Arrays on their way: where each lies in the memory that comes along."""

    def __init__(
        self, descriptions: Mapping[str, Description], memory: SealedMemory | bytes
    ) -> None:
        """Send `memory`, in which the arrays lie one after another in this order."""
        self.descriptions = descriptions
        self.memory = memory if isinstance(memory, SealedMemory) else None
        self.data = memory if isinstance(memory, bytes) else b""
        self.size_bytes = memory.size_bytes if isinstance(memory, SealedMemory) else len(memory)

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
        has_sealed_memory: bool = hasattr(os, "memfd_create"),
        kept_bytes: int = MAX_SHELF_BYTES,
    ) -> None:
        """Keep up to `kept_bytes`; without sealed memory arrays are sent by value."""
        self._has_sealed_memory = has_sealed_memory
        self._kept_bytes = kept_bytes
        self._cap_bytes = MAX_ARRAY_BYTES if has_sealed_memory else _MAX_BY_VALUE_BYTES
        self._kept: dict[tuple[str, ...], SealedMemory] = {}

    async def parcel(self, arrays: Arrays) -> Parcel:
        """Lay `arrays` out.

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
        memory = self._kept.pop(name, None) or await asyncio.to_thread(SealedMemory, arrays)
        self._keep(name, memory)
        return Parcel(descriptions, memory)

    def _keep(self, name: tuple[str, ...], memory: SealedMemory) -> None:
        self._kept[name] = memory
        while sum(kept.size_bytes for kept in self._kept.values()) > self._kept_bytes:
            del self._kept[next(iter(self._kept))]

    def clear(self) -> None:
        """Keep nothing any more."""
        self._kept.clear()


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
