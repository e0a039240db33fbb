"""All presets that ship, by key and by hub id."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from engine.errors import UsageError
from servers.embedded.model import TINY_KEYS
from servers.model import ModelPreset
from servers.presets import deepseek, gemma, llama, mistral, phi, qwen

PRESETS: Mapping[str, ModelPreset] = MappingProxyType(
    {
        preset.key: preset
        for family in (qwen, phi, llama, mistral, deepseek, gemma)
        for preset in family.PRESETS
    }
)
"""Every preset, by key."""


def find_preset(name: str) -> ModelPreset | None:
    """Return the preset with this key or hub id (upper and lower case are the same), or None."""
    wanted = name.strip().lower()
    for preset in PRESETS.values():
        if wanted in (preset.key, preset.repo.lower()):
            return preset
    return None


def unknown_preset(name: str) -> UsageError:
    """Build the error for a name that nothing has, with the names that are near."""
    near = get_close_matches(name.lower(), (*PRESETS, *TINY_KEYS), n=3, cutoff=0.4)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return UsageError(
        f"model: there is no preset called {name!r}.{hint} Presets: {', '.join(PRESETS)}; "
        f"{' and '.join(TINY_KEYS)} ship with the project. Besides these: a hub id (owner/name), a "
        "directory with a config.json, a .gguf file, a .toml file; or a server that runs already, "
        "with --endpoint NAME=URL."
    )
