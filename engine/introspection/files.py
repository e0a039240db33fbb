"""Where the bytes of a checkpoint come from: a directory, or another place that has named files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class File(Protocol):
    """One file, of which any part can be read."""

    @property
    def name(self) -> str:
        """Name within its folder."""
        ...

    @property
    def place(self) -> str:
        """What a message calls it: the folder and the name."""
        ...

    @property
    def n_bytes(self) -> int:
        """Size of the whole file."""
        ...

    def read(self, first: int, count: int) -> Bytes:
        """Return `count` bytes from byte `first` on: fewer at the end of the file.

        Raises:
            OSError: they cannot be had.
        """
        ...


class Folder(Protocol):
    """The files of one checkpoint."""

    @property
    def origin(self) -> str:
        """The place, as `--checkpoint` names it."""
        ...

    @property
    def directory(self) -> Path | None:
        """The place as a directory of this machine, where it is one."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all files, sorted."""
        ...

    def file(self, name: str) -> File:
        """Return the file `name`.

        Raises:
            OSError: there is none.
        """
        ...


class Directory(msgspec.Struct, frozen=True):
    """A directory of this machine."""

    directory: Path

    @property
    def origin(self) -> str:
        """The path."""
        return str(self.directory)

    def names(self) -> Sequence[str]:
        """Return the names of all files, sorted."""
        return sorted(path.name for path in self.directory.iterdir())

    def file(self, name: str) -> File:
        """Return the file `name`."""
        path = self.directory / name
        return _OnDisk(path, path.stat().st_size)


class _OnDisk(msgspec.Struct, frozen=True):
    path: Path
    n_bytes: int

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def place(self) -> str:
        return str(self.path)

    def read(self, first: int, count: int) -> Bytes:
        return np.fromfile(self.path, np.uint8, count=count, offset=first)
