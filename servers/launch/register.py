"""Files that say which servers run on this machine, so that another run can use them.

A record is believed only while its process lives, was started when the record says, is healthy,
and serves the model: process ids and ports come back, and a killed launcher leaves its records.
"""

import contextlib
import hashlib
from pathlib import Path

import msgspec

from servers.identity import is_alive, started_at
from servers.launch.flags import without_flag
from servers.launch.readiness import NoAnswerError, is_healthy, served_models
from servers.launch.values import ServerStart


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
    started = started_at(pid)
    if started is None:
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
    if record is None or not is_alive(record.pid, record.started):
        return None
    if not is_healthy(record.port):
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


def _read(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None
