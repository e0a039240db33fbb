"""Where the RAM of probes goes: weights, one text's pass with its gradients, the program. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from engine.introspection.checkpoint import Checkpoint
from engine.introspection.probe import MAX_TOKENS
from servers.fit.values import LaunchPlan, ServerPlan
from servers.hardware.values import GIB, HardwareProfile

WIDTHS = {"float32": 4, "bfloat16": 2}
"""Number formats of the weights, finest first, and their bytes."""
PROGRAM_BYTES = GIB
"""Python with torch and transformers, buffers and one reply. Measured: 0.5 GiB without a reply."""
_SPARE_SHARE = 0.1
_SPARE_BYTES = GIB
_VECTORS, _INNER, _MAPS = 14, 6, 4
"""Arrays that one layer keeps for its gradients: of the hidden size, of the inner size, and one
number per head and pair of tokens. Counted in the eager code of transformers' Qwen2, and generous:
fused code keeps less."""


class ProbePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What all probes of a study have in common."""

    dtype: str
    total_bytes: int
    """RAM of all of them together."""


def plan_probes(checkpoints: Iterable[Checkpoint], hardware: HardwareProfile) -> ProbePlan | None:
    """Return the finest number format in which probes of all `checkpoints` fit; None: in none.

    They get the RAM that nobody uses now, the servers being started, less a tenth of the machine
    and a GiB for the sandbox and the engine.
    """
    asked = tuple(checkpoints)
    free = hardware.host_bytes - hardware.host_others_bytes - _spare_bytes(hardware)
    for dtype, width in WIDTHS.items():
        total = _total_bytes(asked, width)
        if total <= free:
            return ProbePlan(dtype=dtype, total_bytes=total)
    return None


def promised_bytes(plan: LaunchPlan) -> int:
    """Return the RAM that servers of `plan` may still take when all of them have been ready once.

    Those that sleep move their weights there; those that are started in turn live there where they
    have no GPU. All others hold by then what they were planned with.
    """
    if plan.mode == "sleep":
        return sum(server.weights_bytes for server in plan.servers)
    if plan.mode == "serial":
        return max(_ram_bytes(server) for server in plan.servers)
    return 0


def _ram_bytes(server: ServerPlan) -> int:
    return 0 if server.gpus else server.weights_bytes + server.working_bytes + server.kv_bytes


def least_bytes(checkpoints: Iterable[Checkpoint], hardware: HardwareProfile) -> int:
    """Return the free RAM from which on probes of all `checkpoints` fit."""
    return _total_bytes(checkpoints, min(WIDTHS.values())) + _spare_bytes(hardware)


def _total_bytes(checkpoints: Iterable[Checkpoint], width: int) -> int:
    return sum(probe_bytes(each, width=width) for each in checkpoints)


def _spare_bytes(hardware: HardwareProfile) -> int:
    return round(hardware.host_bytes * _SPARE_SHARE) + _SPARE_BYTES


def probe_bytes(checkpoint: Checkpoint, *, width: int) -> int:
    """Return the RAM of one probe whose weights take `width` bytes each."""
    config = checkpoint.config
    per_token = _VECTORS * _count(config, "hidden_size") + _INNER * _count(
        config, "intermediate_size"
    )
    maps = _MAPS * _count(config, "num_attention_heads") * MAX_TOKENS
    values = _count(config, "num_hidden_layers") * MAX_TOKENS * (per_token + maps)
    logits = 3 * MAX_TOKENS * _count(config, "vocab_size")
    return PROGRAM_BYTES + width * checkpoint.n_values + 4 * (values + logits)


def _count(config: Mapping[str, object], key: str) -> int:
    value = config.get(key)
    return value if isinstance(value, int) else 0
