"""`hardware`: the machine that is there, and the profiles that a plan can be made for."""

from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from engine.cli.console import emit_json, emit_table
from engine.cli.planning import find_hardware
from servers.fit.text import gib
from servers.hardware import PROFILES, Gpu, HardwareProfile, nearest_profile, vllm_build

_HERE = "this machine"


def hardware(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """Show what this machine has, and the hardware profiles that are known.

    Parameters
    ----------
    as_json
        Print them as JSON, by key; this machine is under "detected".
    """
    here = find_hardware(None)
    if as_json:
        named = {key: _values(profile) for key, profile in PROFILES.items()}
        found = {**_values(here), "nearest": nearest_profile(here).key}
        emit_json({**named, "detected": found})
    else:
        emit_table(_table(here))


def _table(here: HardwareProfile) -> Table:
    columns = ("profile", "GPU", "memory", "free", "capability", "driver", "RAM", "cores", "usual")
    table = Table(*columns, box=None, pad_edge=False)
    _add(table, f"{_HERE} (like {nearest_profile(here).key})", here)
    for key, profile in PROFILES.items():
        _add(table, key, profile)
    return table


def _add(table: Table, name: str, profile: HardwareProfile) -> None:
    rest = (gib(profile.host_bytes), str(profile.n_cores), profile.precision)
    if not profile.gpus:
        table.add_row(name, "none", "-", "-", "-", "-", *rest)
    for gpu in profile.gpus:
        table.add_row(name, *_gpu_cells(gpu), profile.driver_text, *rest)


def _gpu_cells(gpu: Gpu) -> tuple[str, ...]:
    return gpu.name, gib(gpu.total_bytes), gib(gpu.free_bytes), _capability(gpu)


def _capability(gpu: Gpu) -> str:
    return ".".join(map(str, gpu.capability))


def _values(profile: HardwareProfile) -> dict[str, object]:
    return {
        "title": profile.title,
        "total_bytes": profile.total_bytes,
        "gpus": [_gpu_values(gpu) for gpu in profile.gpus],
        "host_bytes": profile.host_bytes,
        "host_free_bytes": profile.host_bytes - profile.host_others_bytes,
        "cores": profile.n_cores,
        "driver": profile.driver_text if profile.driver else None,
        "vllm_build": vllm_build(profile),
        "quantization": profile.precision,
        "source": profile.source,
    }


def _gpu_values(gpu: Gpu) -> dict[str, object]:
    return {
        "index": gpu.index,
        "name": gpu.name,
        "total_bytes": gpu.total_bytes,
        "free_bytes": gpu.free_bytes,
        "others_bytes": gpu.others_bytes,
        "capability": _capability(gpu),
        "has_bf16": gpu.has_bf16,
        "has_native_fp8": gpu.has_native_fp8,
    }
