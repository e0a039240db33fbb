"""Servers that `serve` keeps on this machine: one file per `serve`, so that others can use them.

A file is believed only while its process lives: process ids come back, and a `serve` that was
killed leaves its file behind. A stale one is removed by whoever finds it.
"""

import contextlib
import os
from pathlib import Path
from typing import Literal

import msgspec
import psutil

from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from servers.identity import Birth, birth_of, is_alive, started_at
from servers.model import Precision

CACHE_VARIABLE = "XDG_CACHE_HOME"
"""Says where installations, logs and the files of every `serve` are."""
STOP_S = 20.0
"""Time that a `serve` has to end its servers: vLLM takes up to 12 s for it."""
_KILL_S = 5.0


class KeptModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model that is served."""

    endpoint: Endpoint
    name: str
    """What the user called the model."""
    repo: str
    """Hub id, directory or file of the weights."""
    quantization: Precision | None = None
    """None: the models that ship."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One `serve` and what it serves."""

    pid: int
    started: float
    """When the process was started, seconds since the epoch, by the clock of that time."""
    birth: Birth
    kind: Literal["vllm", "embedded"]
    names: tuple[str, ...]
    """What it was asked to serve."""
    log_dir: str
    """Directory of the servers' logs, and of serve.log where it has no terminal."""
    served: tuple[KeptModel, ...] = ()
    """Empty until all are ready."""

    @property
    def is_ready(self) -> bool:
        """All that it was asked to serve answers."""
        return bool(self.served)


def kept_here(kind: Literal["vllm", "embedded"], names: tuple[str, ...], log_dir: Path) -> Kept:
    """Describe this very process, which has just begun to start servers."""
    pid = os.getpid()
    started, birth = started_at(pid), birth_of(pid)
    assert started is not None, "this process is there"
    assert birth is not None, "this process is there"
    where = str(log_dir.resolve())
    return Kept(pid=pid, started=started, birth=birth, kind=kind, names=names, log_dir=where)


def make_directory(path: Path, named_by: str = CACHE_VARIABLE) -> Path:
    """Make a directory that servers need, if it is not there, and return it.

    `named_by`: the flag or variable that says where it is.

    Raises:
        NotReadyError: it cannot be made; names the remedy.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotReadyError(
            f"{path}: cannot be made ({error.strerror}). Point {named_by} at a directory that can "
            "be written."
        ) from error
    return path


def write_kept(directory: Path, kept: Kept) -> None:
    """Write the file of a `serve`, all at once.

    Raises:
        NotReadyError: it cannot be written; names the remedy.
    """
    make_directory(directory)
    path = _path(directory, kept.pid)
    draft = path.with_suffix(".draft")
    try:
        draft.write_bytes(msgspec.json.encode(kept))
        draft.replace(path)
    except OSError as error:
        raise NotReadyError(
            f"{path}: cannot be written ({error.strerror}). Make room on its disk, or point "
            f"{CACHE_VARIABLE} at a directory that can be written."
        ) from error


def remove_kept(directory: Path, pid: int) -> None:
    """Forget the `serve` with this process id."""
    _remove(_path(directory, pid))


def read_kept(directory: Path) -> tuple[Kept, ...]:
    """Return every `serve` that lives, oldest first; files of others are removed."""
    found: list[Kept] = []
    for path in directory.glob("*.json"):
        kept = _read(path)
        if kept is not None and is_alive(kept.pid, kept.birth):
            found.append(kept)
        else:
            _remove(path)
    return tuple(sorted(found, key=lambda one: one.started))


def stop_kept(directory: Path, kept: Kept, *, term_s: float = STOP_S) -> None:
    """End a `serve` and all its servers: SIGTERM, time to end, SIGKILL. Blocks."""
    if is_alive(kept.pid, kept.birth):
        with contextlib.suppress(psutil.NoSuchProcess):
            _end(psutil.Process(kept.pid), term_s)
    remove_kept(directory, kept.pid)


def _end(process: psutil.Process, term_s: float) -> None:
    family = [process, *process.children(recursive=True)]
    process.terminate()
    _, left = psutil.wait_procs(family, timeout=term_s)
    for each in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(left, timeout=_KILL_S)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _path(directory: Path, pid: int) -> Path:
    return directory / f"{pid}.json"


def _read(path: Path) -> Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError):
        return None
