"""How much of a server's weights is not on this machine yet."""

from collections.abc import Iterable
from pathlib import Path

from engine.settings import Settings
from servers.embedded.fetch import first_part, folder_of
from servers.fit import ServerPlan
from servers.model import Method


def bytes_to_fetch(server: ServerPlan, settings: Settings) -> int:
    """Return how many bytes are fetched before `server` can start, as far as the plan knows.

    What an interrupted download left is counted as here: the next one goes on from there.
    """
    if Path(server.repo).exists():
        return 0
    if server.runtime == "llama.cpp":
        return _of_gguf(server, settings)
    blobs = settings.hub_copy(server.repo) / "blobs"
    return max(0, _stored_bytes(server) - _size(blobs.glob("*")))


def _of_gguf(server: ServerPlan, settings: Settings) -> int:
    pattern, store = server.pattern or "*", folder_of(settings.gguf_store, server.repo)
    snapshots = (settings.hub_copy(server.repo) / "snapshots").glob("*")
    if any(first_part(folder, pattern) for folder in (store, *snapshots)):
        return 0
    parts = _size(store.glob(f"{pattern}*"))
    return max(1, server.weights_bytes - parts)  # whatever lies there is not all of it


def _stored_bytes(server: ServerPlan) -> int:
    """Return the size of the files: weights that become FP8 at the start are stored in 16 bits."""
    return server.weights_bytes * (2 if server.method is Method.ONLINE_FP8 else 1)


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)
