"""Files that say which servers run on this machine, so that another run can use them.

A record is believed only while its process lives, was started when the record says, is healthy,
and serves the model: process ids and ports come back, and a killed launcher leaves its records.
"""

import contextlib
import hashlib
from pathlib import Path

import msgspec
import psutil

from servers.launch.flags import without_flag
from servers.launch.readiness import NoAnswerError, is_healthy, served_models
from servers.launch.values import ServerStart

_SAME_START_S = 2.0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One running server."""

    model: str
    port: int
    pid: int
    """Of the keeper."""
    started: float
    """When the keeper was started, seconds since the epoch, as the system counts."""
    max_model_len: int | None


def write_record(
    directory: Path, asked: ServerStart, *, port: int, pid: int, max_model_len: int | None
) -> Path | None:
    """Record a running server; None if it is gone already."""
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
    record = Record(
        model=asked.model, port=port, pid=pid, started=started, max_model_len=max_model_len
    )
    path = record_path(directory, asked)
    directory.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.encode(record))
    draft.replace(path)
    return path


def remove_record(directory: Path, asked: ServerStart, *, pid: int) -> None:
    """Forget a server that was ended, unless somebody else's stands in its place."""
    path = record_path(directory, asked)
    record = _read(path)
    if record is not None and record.pid == pid:
        with contextlib.suppress(OSError):
            path.unlink()


def find_running(directory: Path, asked: ServerStart) -> Record | None:
    """Return a running server that was started in just this way. Blocks: for a thread."""
    record = _read(record_path(directory, asked))
    if record is None or not _is_alive(record) or not is_healthy(record.port):
        return None
    try:
        names = served_models(record.port, asked.environment)
    except NoAnswerError:
        return None
    return record if asked.model in names else None


def record_path(directory: Path, asked: ServerStart) -> Path:
    """Return the file for servers started in this way, wherever they listen."""
    argv = without_flag(asked.argv, "--port", has_value=True)
    digest = hashlib.sha256("\0".join(argv).encode()).hexdigest()[:12]
    return directory / f"{asked.file_name}-{digest}.json"


def _is_alive(record: Record) -> bool:
    try:
        process = psutil.Process(record.pid)
        return abs(process.create_time() - record.started) < _SAME_START_S
    except psutil.Error:
        return False


def _read(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None
