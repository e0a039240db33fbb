"""Bytes of weights and of KV cache, computed from the shape of a model. Pure.

Only the linear layers of the blocks are quantised; embedding, output head, norms and biases stay
16 bit wide. "parameters times half a byte" is therefore wrong by up to 40 % for models with a
large vocabulary.

Source: serving-gpu.md section 1 (the formula, checked there against AWQ shard sizes within 1 %).
GGUF: llama.cpp stores 34 bytes per 32 weights in Q8_0; Q4_K_M comes to 5 bits per weight over the
whole file. Files of models with a tied head hold it twice. Checked against the official
Qwen2.5-3B-Instruct-GGUF (2,104,932,768 bytes in Q4_K_M, 3,616,088,480 in Q8_0) and 1.5B
(1,117,320,736 in Q4_K_M), within 1 %.
"""

from typing import NamedTuple

from servers.model import Architecture, Method, ModelPreset, Precision, Variant

_HALF = 2


class _Format(NamedTuple):
    """What a linear weight takes."""

    weight_bytes: float
    scale_bytes: float = 0
    """Of what a group of weights shares: a scale and, for AWQ and GPTQ, a packed zero point."""
    group_size: int = 128
    """Where a variant does not say it."""


_FORMATS: dict[tuple[Method, Precision], _Format] = {
    (Method.AWQ, "4bit"): _Format(0.5, 2.5),
    (Method.GPTQ, "4bit"): _Format(0.5, 2.5),
    (Method.W4A16, "4bit"): _Format(0.5, 2),
    (Method.FP4, "4bit"): _Format(0.5, 1, 16),
    (Method.GPTQ, "8bit"): _Format(1, 3),
    (Method.W8A16, "8bit"): _Format(1, 2),
    (Method.W8A8, "8bit"): _Format(1.002),
    (Method.FP8, "8bit"): _Format(1.002),
    (Method.ONLINE_FP8, "8bit"): _Format(1.002),
}
"""8-bit formats with one scale per output channel cost 2 thousandths more than their weights."""

_GGUF_BYTES_PER_WEIGHT: dict[Precision, float] = {"fp16": 2.0, "8bit": 34 / 32, "4bit": 5 / 8}


def is_known(method: Method, precision: Precision) -> bool:
    """Return whether weights stored in this way can be of this precision."""
    if method is Method.PLAIN:
        return precision == "fp16"
    return method is Method.GGUF or (method, precision) in _FORMATS


def n_linear_weights(shape: Architecture) -> int:
    """Count the weights of attention and MLP matrices in all layers."""
    q_size = shape.n_heads * shape.head_dim
    kv_size = shape.n_kv_heads * shape.head_dim
    attention = shape.hidden * (2 * q_size + 2 * kv_size)
    return shape.n_layers * (attention + 3 * shape.hidden * shape.intermediate)


def n_parameters(shape: Architecture) -> int:
    """Count every parameter of a model of this shape.

    Source: serving-gpu.md section 1, column "params (exact calc)".
    """
    embeddings = shape.vocab * shape.hidden * (1 if shape.is_tied else 2)
    biases = (shape.n_heads + 2 * shape.n_kv_heads) * shape.head_dim if shape.has_qkv_bias else 0
    norms = shape.n_norms_per_layer * shape.hidden
    return embeddings + n_linear_weights(shape) + shape.n_layers * (biases + norms) + shape.hidden


def weights_bytes(preset: ModelPreset, variant: Variant, *, plain_width: int = _HALF) -> int:
    """Bytes that the weights of `variant` take in memory.

    `plain_width`: bytes of one unquantised weight (2 for 16-bit types, 4 for float32). A measured
    file size of the variant wins over the formula.
    """
    if variant.weights_bytes is not None:
        return variant.weights_bytes * max(plain_width, _HALF) // _HALF
    if variant.method is Method.PLAIN:
        return preset.n_parameters * plain_width
    if variant.method is Method.GGUF:
        shape = preset.architecture
        head = shape.vocab * shape.hidden if shape.is_tied else 0
        return round((preset.n_parameters + head) * _GGUF_BYTES_PER_WEIGHT[variant.precision])
    linear = n_linear_weights(preset.architecture)
    packed = linear * _bytes_per_linear_weight(variant)
    return round(packed) + (preset.n_parameters - linear) * _HALF


def _bytes_per_linear_weight(variant: Variant) -> float:
    found = _FORMATS[(variant.method, variant.precision)]
    return found.weight_bytes + found.scale_bytes / (variant.group_size or found.group_size)


def kv_bytes_per_token(shape: Architecture, *, width: int = _HALF) -> int:
    """Bytes of KV cache that one token takes: keys and values of every layer.

    `width`: bytes of one cached number (2; 1 for an fp8 cache; 4 for float32). Sliding windows are
    not deducted, so the figure is an upper bound for gemma-2.

    Source: serving-gpu.md section 1, column "KV/token fp16" (28 KiB to 512 KiB).
    """
    return 2 * shape.n_layers * shape.n_kv_heads * shape.head_dim * width
