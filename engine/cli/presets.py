"""`presets`: the models that are known by name."""

from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from engine.cli.console import emit_json, emit_table
from servers.model import PRECISIONS, ModelPreset, Precision
from servers.presets import PRESETS, resolve, variant_for
from servers.weights import kv_bytes_per_token, weights_bytes


def presets(
    name: str | None = None,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """List the models that are known by name, with their memory at each precision.

    Parameters
    ----------
    name
        Show this one only: a key, a hub id, a directory or a .toml file.
    as_json
        Print everything about them as JSON, by key.
    """
    shown = {preset.key: preset for preset in (resolve(name),)} if name else dict(PRESETS)
    if as_json:
        emit_json({key: _values(preset) for key, preset in shown.items()})
    else:
        emit_table(_table(list(shown.values())))


def _table(shown: list[ModelPreset]) -> Table:
    columns = ("preset", "parameters", *PRECISIONS, "KV/token", "context", "licence", "repository")
    table = Table(*columns, box=None, pad_edge=False)
    for preset in shown:
        sizes = [_bytes_at(preset, precision) for precision in PRECISIONS]
        table.add_row(
            preset.key,
            f"{preset.n_parameters / 1e9:.2f} B",
            *(f"{size / (1 << 30):.2f} GiB" if size else "-" for size in sizes),
            f"{kv_bytes_per_token(preset.architecture) >> 10} KiB",
            str(preset.architecture.context_tokens),
            f"{preset.licence.partition(':')[0]}{' (gated)' if preset.is_gated else ''}",
            preset.repo,
        )
    return table


def _bytes_at(preset: ModelPreset, precision: Precision) -> int | None:
    variant = variant_for(preset, precision)
    return weights_bytes(preset, variant) if variant else None


def _values(preset: ModelPreset) -> dict[str, object]:
    return {
        "model": preset.key,
        "title": preset.title,
        "repo": preset.repo,
        "parameters": preset.n_parameters,
        "context_tokens": preset.architecture.context_tokens,
        "kv_bytes_per_token": kv_bytes_per_token(preset.architecture),
        "weights_bytes": {one: _bytes_at(preset, one) for one in PRECISIONS},
        "licence": preset.licence,
        "is_gated": preset.is_gated,
        "architecture": preset.architecture,
        "variants": preset.variants,
        "notes": preset.notes,
        "source": preset.source,
    }
