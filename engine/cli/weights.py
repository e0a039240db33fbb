"""The weights that `--checkpoint` or a server names: a directory, or a repository of the hub."""

from pathlib import Path

import msgspec

from engine.errors import NotReadyError
from engine.introspection.checkpoint import (
    Checkpoint,
    is_directory,
    open_checkpoint,
    read_checkpoint,
)
from engine.introspection.hub import Place, open_repository, parse_place
from engine.settings import Settings, read_settings


def open_weights(named: str) -> Checkpoint:
    """Open the checkpoint in the directory or the repository that is `named`.

    A repository that was fetched is read from its copy, another one by ranges through the hub.

    Raises:
        NotReadyError: there is no such place, or a file there is damaged.
    """
    place = None if is_directory(Path(named)) else parse_place(named)
    if place is None:
        return open_checkpoint(named)
    kept = _kept(place, snapshot(read_settings(), place))
    return kept or read_checkpoint(open_repository(place))


def snapshot(settings: Settings, place: Place) -> Path | None:
    """Return the directory of a repository in the hub's cache, if it can be read there."""
    try:
        return _cached(settings, place)
    except OSError:
        return None


def _cached(settings: Settings, place: Place) -> Path | None:
    folder = settings.hub_copy(place.repo)
    revision = place.revision or "main"
    reference = folder / "refs" / revision
    commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision
    found = folder / "snapshots" / commit
    return found if (found / "config.json").exists() else None


def _kept(place: Place, copy: Path | None) -> Checkpoint | None:
    """Return the checkpoint of a copy that has all weights: a cache has what was once asked for.

    Its origin is the repository, which other machines find too.
    """
    if copy is None:
        return None
    try:
        found = open_checkpoint(copy)
    except NotReadyError:  # shards are missing
        return None
    origin = str(Place(place.repo, copy.name))
    return None if found.why_no_values else msgspec.structs.replace(found, origin=origin)
