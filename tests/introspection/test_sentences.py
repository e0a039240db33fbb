"""What is said about layers is so, whatever family they are of."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from engine.introspection.architecture import Architecture
from engine.introspection.checkpoint import open_checkpoint

Write = Callable[[Mapping[str, np.ndarray], Mapping[str, object]], Path]
Shapes = Mapping[str, tuple[int, ...]]


@pytest.fixture
def described(write_checkpoint: Write) -> Callable[..., tuple[str, str]]:
    """Kind and description of a layer of a checkpoint with these parameters."""

    def told(layer: str, shapes: Shapes, **config: object) -> tuple[str, str]:
        stored = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        architecture = Architecture(open_checkpoint(write_checkpoint(stored, config)))
        found = architecture.describe_layer(layer)
        assert isinstance(found, dict)
        return str(found["kind"]), str(found["description"])

    return told


Described = Callable[..., tuple[str, str]]
ATTENTION: Shapes = {"layers.0.self_attn.q_proj.weight": (32, 32)}


def test_matrices_of_gpt2_are_stored_with_their_inputs_first(described: Described) -> None:
    shapes = {"h.0.attn.c_attn.weight": (32, 96), "h.0.attn.c_attn.bias": (96,)}
    assert described("h.0.attn.c_attn", shapes, model_type="gpt2") == (
        "linear",
        "Multiplies by a matrix of shape [32, 96] (inputs, outputs).",
    )


def test_what_the_configuration_does_not_say_is_left_out(described: Described) -> None:
    shapes = {"h.0.mlp.c_fc.weight": (32, 128)}
    config = {"model_type": "gpt2", "intermediate_size": None, "n_inner": None}
    assert described("h.0.mlp", shapes, **config, hidden_act=None) == (
        "mlp",
        "Transforms each position by itself.",
    )


def test_attention_without_known_heads_is_described_without_them(described: Described) -> None:
    config = {"num_attention_heads": None, "num_key_value_heads": None}
    _, text = described("layers.0.self_attn", ATTENTION, **config)
    assert text == "Mixes information between positions."


def test_attention_with_parameters_of_its_own_is_attention(described: Described) -> None:
    shapes = {**ATTENTION, "layers.0.self_attn.sinks": (4,)}
    kind, text = described("layers.0.self_attn", shapes, model_type="gpt_oss")
    assert kind == "attention"
    assert "4 query heads and 2 key/value heads of size 8" in text


def test_an_mlp_with_experts_says_so(described: Described) -> None:
    shapes = {
        "layers.0.mlp.gate.weight": (4, 32),
        "layers.0.mlp.experts.0.up_proj.weight": (16, 32),
    }
    config = {"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2}
    assert described("layers.0.mlp", shapes, **config) == (
        "mlp",
        "Transforms each position by itself, with 2 of 4 experts that are chosen for it.",
    )


def test_an_output_head_is_no_embedding(described: Described) -> None:
    kind, text = described("embed_out", {"embed_out.weight": (64, 32)}, model_type="gpt_neox")
    assert kind == "linear"
    assert text == "Multiplies by a matrix of shape [64, 32] (outputs, inputs)."


@pytest.mark.parametrize(
    ("name", "what"),
    [("wpe", "position"), ("embed_positions", "position"), ("wte", "token")],
)
def test_an_embedding_is_of_tokens_or_of_positions(
    described: Described, name: str, what: str
) -> None:
    _, text = described(name, {f"{name}.weight": (64, 32)}, tie_word_embeddings=False)
    assert text == f"Table that turns a {what} into a vector: [64, 32]."


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ({"multi_query": True}, 1),
        ({}, 1),
        ({"multi_query": False}, 4),
        ({"new_decoder_architecture": True, "num_kv_heads": 2}, 2),
    ],
)
def test_heads_of_multi_query_attention_are_counted(
    write_checkpoint: Write, said: dict[str, object], count: int
) -> None:
    named = {"model_type": "falcon", "num_key_value_heads": None, **said}
    stored = {"layers.0.self_attention.dense.weight": np.zeros((32, 32), np.float32)}
    found = Architecture(open_checkpoint(write_checkpoint(stored, named)))
    assert found.get_architecture_summary()["n_key_value_heads"] == count


def test_a_convolution_is_no_matrix(described: Described) -> None:
    assert described("layers.0.conv.conv", {"layers.0.conv.conv.weight": (32, 1, 3)}) == (
        "module",
        "Holds parameters: weight [32, 1, 3].",
    )


def test_a_decoder_layer_without_attention_names_its_parts(described: Described) -> None:
    shapes = {"layers.0.conv.in_proj.weight": (32, 32), "layers.0.norm.weight": (32,)}
    kind, text = described("layers.0", shapes)
    assert kind == "decoder layer"
    assert text == "One step of the stack; its parts are norm, conv."
