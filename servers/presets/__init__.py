"""Models that are known by name, and how a name becomes a model.

`get_model_preset`, `recommend_model_for_hardware`, `list_available_models` and
`print_model_comparison` keep the names that they had in the system this project continues.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from engine.errors import NotReadyError, UsageError
from servers.embedded.model import TINY_KEYS, directory_of
from servers.fit import LaunchPlan, Request, fit
from servers.hardware import GIB, HardwareProfile, get_profile
from servers.model import PRECISIONS, Method, ModelPreset, Precision, Variant
from servers.presets.catalogue import PRESETS, find_preset, unknown_preset
from servers.presets.own import (
    Fetch,
    fetch_config,
    preset_from_file,
    preset_from_hub,
    preset_from_path,
)
from servers.weights import kv_bytes_per_token, weights_bytes

__all__ = [
    "PRESETS",
    "find_preset",
    "get_model_preset",
    "list_available_models",
    "print_model_comparison",
    "recommend_model_for_hardware",
    "resolve",
    "variant_for",
]

_USEFUL_TOKENS = 8192
"""Below this an investigation spends its time compacting."""


def resolve(name: str, *, fetch: Fetch = fetch_config) -> ModelPreset:
    """Turn what a user calls a model into a preset.

    `name`: a preset's key or hub id, a model that ships, a .toml or .gguf file, a directory with a
    checkpoint, or any hub id.

    Raises:
        UsageError: nothing is called that, or what it names cannot be read.
        NotReadyError: a hub id that cannot be looked up now.
    """
    shipped = find_preset(name)
    if shipped:
        return shipped
    if name in TINY_KEYS:
        return preset_from_path(directory_of(name))
    try:
        found = _on_disk(name, fetch)
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody has the home that ~ means
        raise UsageError(
            f"model: {name!r} cannot be read ({error}). Check the path, or name a preset "
            "(`presets` lists them)."
        ) from error
    if found:
        return found
    owner, _, repo = name.partition("/")
    if owner and repo and "/" not in repo:
        return preset_from_hub(name, fetch)
    raise unknown_preset(name)


def _on_disk(name: str, fetch: Fetch) -> ModelPreset | None:
    path = Path(name).expanduser()
    if path.suffix == ".toml":
        return preset_from_file(path, fetch)
    if path.is_dir() or path.suffix == ".gguf" or name.startswith((".", "/", "~")):
        return preset_from_path(path)
    return None


def get_model_preset(key: str) -> ModelPreset:
    """Return the preset with this key or hub id.

    Raises:
        UsageError: there is none; names those that are near.
    """
    found = find_preset(key)
    if found is None:
        raise unknown_preset(key)
    return found


def recommend_model_for_hardware(profile: str | HardwareProfile) -> ModelPreset:
    """Return the largest preset that a machine serves with a context of at least 8192 tokens.

    Raises:
        UsageError: no profile is called that.
        NotReadyError: not even the smallest model fits it.
    """
    hardware = get_profile(profile) if isinstance(profile, str) else profile
    for preset in sorted(PRESETS.values(), key=lambda one: -one.n_parameters):
        plan = fit(Request(presets=(preset,), hardware=hardware))
        if isinstance(plan, LaunchPlan) and plan.servers[0].max_model_len >= _USEFUL_TOKENS:
            return preset
    raise NotReadyError(
        f"{hardware.title}: no preset fits with {_USEFUL_TOKENS} tokens of context. Free memory "
        "that other processes hold, or use an endpoint elsewhere (--endpoint)."
    )


def list_available_models(
    *, max_vram: float | None = None, quantization: Precision | None = None
) -> list[str]:
    """List the keys of presets whose weights take at most `max_vram` GiB at `quantization`.

    Without `quantization` the coarsest weights of each model count.
    """
    precisions = (quantization,) if quantization else PRECISIONS
    return [
        preset.key
        for preset in PRESETS.values()
        if (sizes := [_gib(preset, one) for one in precisions if variant_for(preset, one)])
        and (max_vram is None or min(sizes) <= max_vram)
    ]


def print_model_comparison(write: Callable[[str], object] | None = None) -> None:
    """Write a table of all presets: GiB of weights, KiB of KV cache per token, context.

    `write`: None is stdout.
    """
    put = write or sys.stdout.write
    put(f"{'model':22}{'fp16':>8}{'8bit':>8}{'4bit':>8}{'KV KiB':>8}{'context':>9}\n")
    for preset in PRESETS.values():
        sizes = "".join(f"{_gib(preset, one):8.2f}" for one in PRECISIONS)
        kv_kib = kv_bytes_per_token(preset.architecture) >> 10
        context = preset.architecture.context_tokens
        put(f"{preset.key:22}{sizes}{kv_kib:8}{context:9}\n")


def variant_for(preset: ModelPreset, precision: Precision) -> Variant | None:
    """The preferred weights for vLLM at a precision, whatever the GPU; None if there are none."""
    for variant in preset.variants:
        if variant.precision == precision and variant.method is not Method.GGUF:
            return variant
    return None


def _gib(preset: ModelPreset, precision: Precision) -> float:
    variant = variant_for(preset, precision)
    return weights_bytes(preset, variant) / GIB if variant else float("nan")
