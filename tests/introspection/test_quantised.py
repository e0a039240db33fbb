"""Weights packed here, by the definition of each format, and read back."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import NotReadyError
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.layers import layers_of

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Write = Callable[[Mapping[str, Any], Mapping[str, object]], Path]

N_IN, N_OUT, GROUP = 64, 24, 16
NAME = "model.layers.0.mlp.down_proj"


def quantise(weights: Floats, bits: int) -> tuple[Integers, Integers, Floats]:
    """Return values, zero points and scales of (inputs, outputs) weights, by groups of inputs."""
    top = (1 << bits) - 1
    grouped = weights.reshape(-1, GROUP, weights.shape[1])
    low, high = grouped.min(axis=1), grouped.max(axis=1)
    scales = ((high - low) / top).astype(np.float16)
    zeros: Integers = np.round(-low / scales).clip(1, top).astype(np.int64)
    values: Floats = np.round(grouped / scales[:, None].astype(np.float32)) + zeros[:, None]
    return values.clip(0, top).astype(np.int64).reshape(weights.shape), zeros, scales


def pack(values: Integers, bits: int, order: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """Pack along the last axis; the value of column order[i] goes to bits i * `bits`."""
    per_word = 32 // bits
    split = values.reshape(*values.shape[:-1], -1, per_word).astype(np.uint32)
    words = np.zeros(split.shape[:-1], np.uint32)
    for place, column in enumerate(order):
        words |= split[..., column] << np.uint32(place * bits)
    return words.view(np.int32)


def make_weights() -> Floats:
    return np.random.default_rng(3).normal(0, 0.05, (N_IN, N_OUT)).astype(np.float32)


def awq(weights: Floats) -> dict[str, Any]:
    values, zeros, scales = quantise(weights, 4)
    order = (0, 2, 4, 6, 1, 3, 5, 7)
    return {
        f"{NAME}.qweight": pack(values, 4, order),
        f"{NAME}.qzeros": pack(zeros, 4, order),
        f"{NAME}.scales": scales,
    }


def gptq(
    weights: Floats, bits: int, *, offset: int = 1, order: Integers | None = None
) -> dict[str, Any]:
    groups = np.repeat(np.arange(N_IN // GROUP), GROUP)
    if order is not None:
        groups = groups[order]
        weights = weights[np.argsort(order, kind="stable")]
    values, zeros, scales = quantise(weights, bits)
    if order is not None:
        values = values[order]
    straight = tuple(range(32 // bits))
    return {
        f"{NAME}.qweight": np.ascontiguousarray(pack(values.T.copy(), bits, straight).T),
        f"{NAME}.qzeros": pack(zeros - offset, bits, straight),
        f"{NAME}.scales": scales,
        f"{NAME}.g_idx": groups.astype(np.int32),
    }


def signed(
    weights: Floats, bits: int, *, order: Integers | None = None, n_groups: int = N_IN // GROUP
) -> dict[str, Any]:
    """Pack as compressed-tensors does; `order`: the group of each input."""
    half, n_inputs = 1 << (bits - 1), len(weights)
    groups = np.arange(n_inputs) // -(-n_inputs // n_groups) if order is None else order
    largest = np.array([np.abs(weights[groups == g]).max(axis=0) for g in range(n_groups)])
    scale = (largest / (half - 1)).astype(np.float16)
    values = np.round(weights / scale[groups].astype(np.float32)).clip(-half, half - 1)
    padded = np.zeros((weights.shape[1], -(-n_inputs * bits // 32) * 32 // bits), np.int64)
    padded[:, :n_inputs] = values.T.astype(np.int64) + half
    found = {
        f"{NAME}.weight_packed": pack(padded, bits, tuple(range(32 // bits))),
        f"{NAME}.weight_scale": np.ascontiguousarray(scale.T),
        f"{NAME}.weight_shape": ("I64", np.array([weights.shape[1], n_inputs], np.int64)),
    }
    named = {} if order is None else {f"{NAME}.weight_g_idx": groups.astype(np.int32)}
    return {**found, **named}


def grouped(bits: int, **more: object) -> dict[str, object]:
    weights = {"num_bits": bits, "symmetric": True, **more}
    groups = {"group_0": {"weights": weights, "targets": ["Linear"]}}
    config = {"quant_method": "compressed-tensors", "config_groups": groups}
    return {"quantization_config": config}


def declared(method: str, bits: int, **more: object) -> dict[str, object]:
    return {"quantization_config": {"quant_method": method, "bits": bits, **more}}


def read(root: Path) -> Floats:
    checkpoint = open_checkpoint(root)
    parameter = checkpoint.parameters[f"{NAME}.weight"]
    assert parameter.is_dequantised
    return np.concatenate(list(checkpoint.blocks(parameter.name))).reshape(parameter.shape)


def row(root: Path, index: int) -> Floats:
    rows = open_checkpoint(root).parameters[f"{NAME}.weight"].encoding.rows()
    return rows(index, 1).reshape(-1)


def assert_close(found: Floats, weights: Floats, bits: int) -> None:
    step = (weights.max() - weights.min()) / ((1 << bits) - 1)
    assert found.shape == (N_OUT, N_IN)
    assert np.abs(found - weights.T).max() <= step


def test_awq_values_are_within_the_quantisation_error(write_checkpoint: Write) -> None:
    weights = make_weights()
    root = write_checkpoint(awq(weights), declared("awq", 4))
    assert_close(read(root), weights, 4)


@pytest.mark.parametrize("bits", [4, 8])
def test_gptq_values_are_within_the_quantisation_error(write_checkpoint: Write, bits: int) -> None:
    weights = make_weights()
    root = write_checkpoint(gptq(weights, bits), declared("gptq", bits))
    assert_close(read(root), weights, bits)


def test_gptq_v2_stores_its_zero_points_as_they_are(write_checkpoint: Write) -> None:
    weights = make_weights()
    config = declared("gptq", 4, checkpoint_format="gptq_v2")
    root = write_checkpoint(gptq(weights, 4, offset=0), config)
    assert_close(read(root), weights, 4)


def test_gptq_with_activation_order_takes_the_group_of_each_input(write_checkpoint: Write) -> None:
    weights = make_weights()
    order = np.random.default_rng(5).permutation(N_IN)
    root = write_checkpoint(gptq(weights, 4, order=order), declared("gptq", 4))
    assert_close(read(root), weights, 4)


@pytest.mark.parametrize("bits", [4, 8])
def test_signed_values_are_within_the_quantisation_error(
    write_checkpoint: Write, bits: int
) -> None:
    weights = make_weights()
    assert_close(read(write_checkpoint(signed(weights, bits), grouped(bits))), weights, bits)


def test_signed_values_are_read_by_the_older_name_of_the_declaration(
    write_checkpoint: Write,
) -> None:
    weights = make_weights()
    config = {"compression_config": grouped(4)["quantization_config"]}
    assert_close(read(write_checkpoint(signed(weights, 4), config)), weights, 4)


def test_signed_values_take_the_group_of_each_input(write_checkpoint: Write) -> None:
    weights = make_weights()
    order = np.random.default_rng(6).permutation(np.arange(N_IN) // GROUP)
    assert_close(read(write_checkpoint(signed(weights, 4, order=order), grouped(4))), weights, 4)


def test_padding_of_the_last_word_is_left_out(write_checkpoint: Write) -> None:
    weights = make_weights()[: N_IN - 3]
    found = read(write_checkpoint(signed(weights, 4, n_groups=1), grouped(4)))
    assert found.shape == (N_OUT, N_IN - 3)
    assert np.abs(found - weights.T).max() <= np.abs(weights).max() / 7


@pytest.mark.parametrize(
    ("scale_name", "shape"),
    [("weight_scale", ()), ("weight_scale", (N_OUT, 1)), ("weight_scale_inv", (3, 4))],
)
def test_scaled_values_are_multiplied_tile_by_tile(
    write_checkpoint: Write, scale_name: str, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(7)
    values = rng.integers(-127, 127, (N_OUT, N_IN)).astype(np.int8)
    scale = rng.uniform(0.5, 1.5, shape or (1,)).astype(np.float32).reshape(shape)
    stored = {f"{NAME}.weight": values, f"{NAME}.{scale_name}": scale}
    root = write_checkpoint(stored, declared("fp8", 8))
    tiles = scale.reshape(scale.shape[0] if shape else 1, -1)
    full = np.kron(tiles, np.ones((N_OUT // tiles.shape[0], N_IN // tiles.shape[1])))
    assert np.allclose(read(root), values * full)


def test_tiles_at_the_edge_are_cut_and_not_stretched(write_checkpoint: Write) -> None:
    rng = np.random.default_rng(8)
    values = rng.integers(-127, 127, (20, 36)).astype(np.int8)
    scale = rng.uniform(0.5, 1.5, (2, 3)).astype(np.float32)
    stored = {f"{NAME}.weight": values, f"{NAME}.weight_scale_inv": scale}
    config = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [16, 16]}}
    full = np.kron(scale, np.ones((16, 16)))[:20, :36]
    assert np.allclose(read(write_checkpoint(stored, config)), values * full)


def test_blocks_of_compressed_tensors_are_cut_at_the_edge_and_not_stretched(
    write_checkpoint: Write,
) -> None:
    rng = np.random.default_rng(9)
    values = rng.integers(-127, 127, (20, 36)).astype(np.int8)
    scale = rng.uniform(0.5, 1.5, (2, 3)).astype(np.float32)
    stored = {f"{NAME}.weight": values, f"{NAME}.weight_scale": scale}
    root = write_checkpoint(stored, grouped(8, strategy="block", block_structure=[16, 16]))
    assert np.allclose(read(root), values * np.kron(scale, np.ones((16, 16)))[:20, :36])


def test_scales_of_rows_beside_a_declaration_of_blocks_are_those_of_rows(
    write_checkpoint: Write,
) -> None:
    rng = np.random.default_rng(10)
    values = rng.integers(-127, 127, (20, 36)).astype(np.int8)
    scale = rng.uniform(0.5, 1.5, (20, 1)).astype(np.float32)
    stored = {f"{NAME}.weight": values, f"{NAME}.weight_scale": scale}
    root = write_checkpoint(stored, grouped(8, strategy="block", block_structure=[16, 16]))
    assert np.allclose(read(root), values * scale)


@pytest.mark.parametrize("last", ["q_scale", "k_scale", "v_scale", "output_scale"])
def test_scales_of_the_cache_are_no_parameter(write_checkpoint: Write, last: str) -> None:
    attention = "model.layers.0.self_attn"
    stored = {f"{attention}.o_proj.weight": make_weights(), f"{attention}.{last}": np.float32(1)}
    found = open_checkpoint(write_checkpoint(stored, declared("fp8", 8)))
    assert list(found.parameters) == [f"{attention}.o_proj.weight"]
    assert layers_of(found.parameters)[attention].kind == "attention"


def test_only_names_of_the_model_are_parameters(write_checkpoint: Write) -> None:
    root = write_checkpoint(awq(make_weights()), declared("awq", 4))
    assert list(open_checkpoint(root).parameters) == [f"{NAME}.weight"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (declared("gptq", 3), "gptq 3-bit"),
        (declared("awq", 4, version="gemv"), "awq 4-bit gemv"),
        (declared("gptq", 4, checkpoint_format="marlin"), "gptq 4-bit marlin"),
        (declared("gptq", 4, is_marlin_format=True), "gptq 4-bit marlin"),
        (declared("aqlm", 2), "aqlm 2-bit"),
        ({}, "declares nothing"),
    ],
)
def test_an_unreadable_packing_leaves_what_the_configuration_tells(
    write_checkpoint: Write, more: dict[str, object], why: str
) -> None:
    found = open_checkpoint(write_checkpoint(awq(make_weights()), more))
    assert why in found.why_no_values
    assert found.parameters[f"{NAME}.weight"].shape == (32, 48)


def test_modules_with_bits_of_their_own_are_not_read_with_those_of_the_others(
    write_checkpoint: Write,
) -> None:
    config = declared("gptq", 4, dynamic={"+:.*down.*": {"bits": 8}})
    found = open_checkpoint(write_checkpoint(gptq(make_weights(), 8), config))
    assert found.why_no_values == f"'{NAME}.qzeros' has the shape [4, 6], and [4, 3] would fit"


@pytest.mark.parametrize(
    ("stored", "packed", "more"),
    [
        (awq(make_weights()), "qweight", declared("awq", 4)),
        (gptq(make_weights(), 4), "qweight", declared("gptq", 4)),
        (signed(make_weights(), 4), "weight_packed", grouped(4)),
    ],
)
def test_packed_words_that_are_no_matrix_are_not_read(
    write_checkpoint: Write, stored: dict[str, Any], packed: str, more: dict[str, object]
) -> None:
    flat = {f"{NAME}.{packed}": stored[f"{NAME}.{packed}"].ravel()}
    assert "no matrix" in open_checkpoint(write_checkpoint(stored | flat, more)).why_no_values


@pytest.mark.parametrize("last", ["weight_zero_point", "weight_scale_2", "absmax"])
def test_a_packing_that_only_looks_plain_is_not_read(write_checkpoint: Write, last: str) -> None:
    plain = {f"{NAME}.weight": make_weights(), f"{NAME}.weight.{last}": make_weights()}
    plain |= {f"{NAME}.{last}": make_weights()}
    found = open_checkpoint(write_checkpoint(plain, {}))
    assert "cannot be read" in found.why_no_values


def test_a_missing_scale_is_named(write_checkpoint: Write) -> None:
    stored = awq(make_weights())
    del stored[f"{NAME}.scales"]
    root = write_checkpoint(stored, declared("awq", 4))
    with pytest.raises(NotReadyError, match=r"down_proj\.scales"):
        open_checkpoint(root)


@pytest.mark.parametrize("index", [0, 7, 8, 13, N_OUT - 1])
def test_one_row_is_that_row_of_the_whole(write_checkpoint: Write, index: int) -> None:
    weights = make_weights()
    root = write_checkpoint(awq(weights), declared("awq", 4))
    assert np.array_equal(row(root, index), read(root)[index])


@pytest.mark.parametrize(
    ("buffer", "kind", "shape"),
    [
        ("h.0.attn.bias", "BOOL", (1, 1, 8, 8)),
        ("h.0.attn.bias", "F32", (1, 1, 8, 8)),
        ("h.0.attn.masked_bias", "F32", ()),
        ("gpt_neox.layers.0.attention.bias", "BOOL", (1, 1, 8, 8)),
        ("gpt_neox.layers.0.attention.masked_bias", "F16", ()),
        ("gpt_neox.layers.0.attention.rotary_emb.inv_freq", "F32", (4,)),
        ("h.0.attn.causal_mask", "BOOL", (1, 1, 8, 8)),
        ("embeddings.position_ids", "I64", (1, 8)),
    ],
)
def test_what_is_computed_from_the_configuration_is_no_parameter(
    write_checkpoint: Write, buffer: str, kind: str, shape: tuple[int, ...]
) -> None:
    widths = {"BOOL": np.uint8, "F16": np.float16, "I64": np.int64}
    stored = {
        "wte.weight": np.ones((4, 2), np.float32),
        buffer: (kind, np.ones(shape, widths.get(kind, np.float32))),
    }
    found = open_checkpoint(write_checkpoint(stored, {"tie_word_embeddings": False}))
    assert list(found.parameters) == ["wte.weight"]
    assert found.n_values == 8


@pytest.mark.parametrize("name", ["h.0.attn.bias", "layers.0.attention.bias"])
def test_a_bias_of_attention_that_was_learnt_is_a_parameter(
    write_checkpoint: Write, name: str
) -> None:
    stored = {name: np.ones(8, np.float32)}
    assert list(open_checkpoint(write_checkpoint(stored, {})).parameters) == [name]


def scaled(shape: tuple[int, ...], scale: tuple[int, ...]) -> dict[str, Any]:
    stored = {"weight": np.ones(shape, np.int8), "weight_scale": np.ones(scale, np.float32)}
    return {f"{NAME}.{last}": array for last, array in stored.items()}


@pytest.mark.parametrize("scale", [(0,), (N_OUT, 0), (N_OUT + 1,), (N_OUT, N_IN + 1)])
def test_scales_that_do_not_fit_the_matrix_are_named(
    write_checkpoint: Write, scale: tuple[int, ...]
) -> None:
    root = write_checkpoint(scaled((N_OUT, N_IN), scale), grouped(8))
    why = open_checkpoint(root).why_no_values
    assert f"'{NAME}.weight_scale' has the shape {list(scale)}" in why


def test_scaled_weights_that_are_no_matrix_are_not_read_without_their_scales(
    write_checkpoint: Write,
) -> None:
    root = write_checkpoint(scaled((2, N_OUT, N_IN), (2, N_OUT, 1)), grouped(8))
    assert f"'{NAME}.weight' has the shape [2, 24, 64]" in open_checkpoint(root).why_no_values


@pytest.mark.parametrize(
    ("stored", "last", "more"),
    [
        (awq(make_weights()), "qweight", declared("awq", 4)),
        (awq(make_weights()), "qzeros", declared("awq", 4)),
        (gptq(make_weights(), 4), "qweight", declared("gptq", 4)),
        (gptq(make_weights(), 4), "qzeros", declared("gptq", 4)),
        (gptq(make_weights(), 4), "g_idx", declared("gptq", 4)),
        (signed(make_weights(), 4), "weight_packed", grouped(4)),
    ],
)
@pytest.mark.parametrize("kind", ["F32", "I64", "U8"])
def test_words_of_another_type_are_named(
    write_checkpoint: Write,
    stored: dict[str, Any],
    last: str,
    more: dict[str, object],
    kind: str,
) -> None:
    width = {"F32": np.float32, "I64": np.int64, "U8": np.uint8}[kind]
    name = f"{NAME}.{last}"
    root = write_checkpoint({**stored, name: (kind, stored[name].astype(width))}, more)
    assert f"'{name}' is stored as" in open_checkpoint(root).why_no_values


def test_a_shape_that_is_stored_as_no_whole_number_is_named(write_checkpoint: Write) -> None:
    name = f"{NAME}.weight_shape"
    stored = signed(make_weights(), 4) | {name: np.full(2, np.nan, np.float32)}
    assert (
        f"'{name}' is stored as"
        in open_checkpoint(write_checkpoint(stored, grouped(4))).why_no_values
    )


def test_a_group_that_is_not_there_is_damage(write_checkpoint: Write) -> None:
    stored = gptq(make_weights(), 4)
    stored[f"{NAME}.g_idx"] += 1
    root = write_checkpoint(stored, declared("gptq", 4))
    with pytest.raises(NotReadyError, match=r"corrupt: 'model.*g_idx'.*--checkpoint"):
        read(root)
