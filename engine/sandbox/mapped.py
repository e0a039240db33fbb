"""Worker side of arrays: memory of the host mapped for reading, and arrays over it.

Python's own `mmap` would keep a descriptor open, which model code could find.
"""

import ctypes
import mmap
import os
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from engine.sandbox.arrays import WHOLE
from engine.sandbox.protocol import Placed, WithArrays


class ReadOnlyMemory:
    """Memory behind a descriptor, for reading only; unmapped when no array uses it any more."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        """Map `fd`, which may be closed afterwards.

        Raises:
            MemoryError: there is no room for it.
        """
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        size = ctypes.c_size_t(size_bytes)
        start = self._libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, ctypes.c_long(0))
        if start == ctypes.c_void_p(-1).value:
            raise MemoryError(
                f"no room for {size_bytes:,} bytes: {os.strerror(ctypes.get_errno())}"
            )
        self._start = start
        self._size = size
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (size_bytes,),
            "data": (start, True),
        }

    def __del__(self) -> None:
        """Unmap it."""
        if hasattr(self, "_start"):
            self._libc.munmap(ctypes.c_void_p(self._start), self._size)


def value_of(frame: WithArrays, fds: list[int]) -> object:
    """Return the answer that `frame` carries, its arrays over the memory that came along.

    The descriptors are closed.

    Raises:
        OSError: the memory did not arrive: model code holds too many descriptors.
        MemoryError: there is no room for it.
    """
    memory = _memory(frame, fds)
    arrays = {placed.key: _array(memory, placed) for placed in frame.arrays}
    if frame.value is None:
        return arrays[WHOLE]
    return cast("dict[str, object]", frame.value) | arrays


def _memory(frame: WithArrays, fds: list[int]) -> npt.NDArray[np.uint8]:
    if frame.data:
        return np.frombuffer(frame.data, np.uint8)
    try:
        if not fds:
            raise OSError("no descriptor is left through which an array could be passed")
        return np.asarray(ReadOnlyMemory(fds[0], frame.size_bytes))
    finally:
        for fd in fds:
            os.close(fd)


def _array(memory: npt.NDArray[np.uint8], placed: Placed) -> npt.NDArray[Any]:
    dtype = np.dtype(placed.dtype)
    n_bytes = int(np.prod(placed.shape, dtype=np.int64)) * dtype.itemsize
    part = memory[placed.start_bytes : placed.start_bytes + n_bytes]
    return part.view(dtype).reshape(placed.shape)
