"""What a block prints, in memory that the host can read even after the worker was killed.

Layout of the shared file: number of the block that printed, of bytes kept, and of characters
dropped (three little-endian 64-bit integers), then UTF-8 text. The worker writes, the host reads
and trusts none of it.
"""

import io
import mmap
import os
import struct
import sys
import tempfile

_HEADER = struct.Struct("<QQQ")
_BYTES_PER_CHAR = 4
_READ_BYTES = 4096
"""Most blocks print no more than this."""


def size_bytes(n_chars: int) -> int:
    """Return the size of the file for output of at most `n_chars` characters."""
    return _HEADER.size + _BYTES_PER_CHAR * n_chars


def create(n_chars: int) -> int:
    """Return the descriptor of a new, nameless file for output of at most `n_chars`."""
    if sys.platform == "linux":
        fd = os.memfd_create("printed", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size_bytes(n_chars))
    return fd


def read(fd: int, block: int, n_chars: int) -> tuple[str, int]:
    """Return what `block` printed, at most `n_chars` of it, and how many characters it dropped.

    Of a block that did not come to print this is nothing.
    """
    data = os.pread(fd, _READ_BYTES, 0)
    printing, n_bytes, n_dropped = _HEADER.unpack_from(data)
    if printing != block:
        return "", 0
    end = _HEADER.size + min(n_bytes, _BYTES_PER_CHAR * n_chars)
    if end > len(data):
        data += os.pread(fd, end - len(data), len(data))
    return data[_HEADER.size : end].decode("utf-8", "replace")[:n_chars], n_dropped


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`: bytes written there join the text, undecodable ones replaced."""

    def __init__(self, text: "Printed") -> None:
        super().__init__()
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | memoryview", /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - any buffer will do
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "replace"))
        return len(raw)


class Printed(io.TextIOBase):
    """Stands for both stdout and stderr in the worker, so that their order is kept."""

    encoding = "utf-8"
    errors = "replace"
    name = "<stdout>"
    mode = "w"
    line_buffering = False
    write_through = False

    def __init__(self, fd: int, n_chars: int) -> None:
        """Map the file behind `fd`, which may be closed afterwards."""
        super().__init__()
        self._map = mmap.mmap(fd, size_bytes(n_chars))
        self._n_chars = n_chars
        self.buffer = _Bytes(self)
        self.reset(0)

    def __repr__(self) -> str:
        """Look like the stream that it stands for."""
        return "<_io.TextIOWrapper name='<stdout>' mode='w' encoding='utf-8'>"

    def reset(self, block: int) -> None:
        """Begin a new block."""
        self._block = block
        self._room_chars = self._n_chars
        self._n_bytes = 0
        self._n_dropped = 0
        self._tell()

    def write(self, text: str, /) -> int:
        """Keep what there is room for, count the rest."""
        # Called on the class: what is not a string is refused, as a real stream does.
        data = str.encode(text[: self._room_chars], "utf-8", "replace")
        n_dropped = len(text) - self._room_chars
        if n_dropped > 0:
            self._n_dropped += n_dropped
            self._room_chars = 0
        else:
            self._room_chars = -n_dropped
        self._put(data)
        return len(text)

    def _put(self, data: bytes) -> None:
        start = _HEADER.size + self._n_bytes
        self._map[start : start + len(data)] = data
        self._n_bytes += len(data)
        self._tell()

    def _tell(self) -> None:
        _HEADER.pack_into(self._map, 0, self._block, self._n_bytes, self._n_dropped)

    def writable(self) -> bool:
        """Always."""
        return True

    def reconfigure(
        self,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        line_buffering: bool | None = None,
        write_through: bool | None = None,
    ) -> None:
        """Change nothing: what is printed is kept at once, as UTF-8 and line by line as it is."""

    def isatty(self) -> bool:
        """Never: nothing here asks for colours or pages."""
        return False
