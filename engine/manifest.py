"""What makes a run reproducible: written once, atomically, before the first event."""

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import RunError, UsageError
from engine.journal import write_durably
from engine.phase import Phase

FORMAT = 1
"""Version of the layout of a run directory."""


class Arm(BaseModel):
    """One model of the study and where it answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    url: str
    served_model: str
    key_variable: str
    checkpoint: str | None
    checkpoint_digest: str | None
    max_model_len: int | None


class Manifest(BaseModel):
    """The study as it was asked for and the conditions it ran under."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    run: str
    started: float
    """Seconds since the epoch."""
    seed: int
    replicates: int
    concurrency: int
    arms: tuple[Arm, ...]
    phases: tuple[Phase, ...]
    capabilities: tuple[str, ...]
    """Introspection modules that every arm had."""
    sandbox_tier: str
    sandbox_walls: tuple[str, ...]
    sandbox_limits: dict[str, float]
    serving: str
    """How the models were served: "embedded", "endpoint"."""
    versions: dict[str, str]
    """Package or program -> version."""
    git_revision: str | None
    machine: dict[str, Any]


def write_manifest(run_dir: Path, manifest: Manifest) -> None:
    """Write manifest.json so that it is there whole or not at all."""
    write_atomically(run_dir / "manifest.json", manifest.model_dump_json(indent=2).encode())


def read_manifest(run_dir: Path) -> Manifest:
    """Return the manifest of a run.

    Raises:
        UsageError: the directory is no run, or was written by another version.
    """
    path = run_dir / "manifest.json"
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{run_dir}: not a run directory (no manifest.json that can be read). "
            "Name the directory that a run printed in its last line."
        ) from error
    except ValidationError as error:
        raise UsageError(f"{path}: not a manifest of this version: {error}") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: a reader sees the old file or the new one, never a part.

    Raises:
        RunError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.flush()
            write_durably(file.fileno(), data)
        part.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror}).") from error


def _sync_directory(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
