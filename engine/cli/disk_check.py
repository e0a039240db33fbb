"""Whether there is room for the weights that the main job still has to fetch."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine.cli.checks import nearest_there
from engine.cli.compare import names_in
from engine.cli.options import Options
from engine.cli.planning import DEFAULT_MODELS, Wanted, ask, find_hardware
from engine.cli.serving.given import endpoints_of
from engine.cli.serving.missing import bytes_to_fetch
from engine.errors import EngineError, NotReadyError
from engine.settings import read_settings
from servers.embedded.model import TINY_KEYS
from servers.fit import LaunchPlan, ServerPlan
from servers.fit.text import gib


class _Store(NamedTuple):
    """A place for weights."""

    folder: Path
    variable: str
    """Of the environment: points elsewhere."""
    n_bytes: int
    """To be fetched into it."""


def room(models: str, options: Options) -> str:
    """Return whether what the main job would fetch has room on disk.

    Raises:
        NotReadyError: it has not.
    """
    hub, gguf = _stores(models, options)
    used = [store for store in (hub, gguf) if store.n_bytes]
    return "; ".join(map(_room, used)) if used else _none_fetched(hub.folder)


def _room(store: _Store) -> str:
    folder, variable, needed = store
    nearest = nearest_there(folder)
    if not _is_writable(nearest):
        raise NotReadyError(
            f"no weights can be kept in {folder}. Point {variable} at a directory that you can "
            "write."
        )
    free = shutil.disk_usage(nearest).free
    if free < needed:
        raise NotReadyError(
            f"the main job fetches {gib(needed)} of weights, and {folder} has {gib(free)} free. "
            f"Free some, or point {variable} at a larger disk."
        )
    return f"{gib(free)} free for weights in {folder}; the main job fetches {gib(needed)}"


def _none_fetched(folder: Path) -> str:
    nearest = nearest_there(folder)
    if not _is_writable(nearest):
        return f"no weights can be kept in {folder}; the main job fetches none"
    free = gib(shutil.disk_usage(nearest).free)
    return f"{free} free for weights in {folder}; the main job fetches none"


def _is_writable(place: Path) -> bool:
    return place.is_dir() and os.access(place, os.W_OK)


def _stores(models: str, options: Options) -> tuple[_Store, _Store]:
    """Return the hub's cache and the place for GGUF files."""
    settings, in_hub, in_store = read_settings(), 0, 0
    for server in _servers(models, options):
        n_bytes = bytes_to_fetch(server, settings)
        if server.runtime == "llama.cpp":
            in_store += n_bytes
        else:
            in_hub += n_bytes
    return (
        _Store(settings.hub_cache, "HF_HOME", in_hub),
        _Store(settings.gguf_store, "XDG_CACHE_HOME", in_store),
    )


def _servers(models: str, options: Options) -> Sequence[ServerPlan]:
    """Return what the main job would start, as far as that can be planned."""
    hardware, quantization = options.hardware, options.quantization
    try:
        names = ",".join(_served_here(models, options))
        if not names:
            return ()
        found = ask(Wanted(models=names, hardware=hardware, quantization=quantization))
    except EngineError:  # who looks at endpoints, the GPU or the main job says why
        return ()
    return found.servers if isinstance(found, LaunchPlan) else ()


def _served_here(models: str, options: Options) -> list[str]:
    """Return the models whose weights the main job would need: not those that ship."""
    there = [endpoint.model for endpoint in endpoints_of(options)]
    default = DEFAULT_MODELS if not there and find_hardware(options.hardware).gpus else ()
    wanted = dict.fromkeys(names_in(models) or default)
    return [name for name in wanted if name not in there and name not in TINY_KEYS]
