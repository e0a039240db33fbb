"""What a configuration implies is what the model has."""

import json
import subprocess
from pathlib import Path

import pytest

from engine.introspection.architecture import Architecture
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.implied import implied
from servers.embedded.model import TINY_KEYS
from tests.servers.probe import real
from tests.servers.probe.real import directory_of, interpreter

SMALL: dict[str, object] = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "pad_token_id": 0,
}
VARIANTS: dict[str, dict[str, object]] = {
    "llama": {},
    "llama with biases": {"attention_bias": True, "mlp_bias": True},
    "llama tied": {"tie_word_embeddings": True},
    "mistral": {"head_dim": 16},
    "qwen2": {},
    "qwen2 tied": {"tie_word_embeddings": True},
    "qwen3": {"head_dim": 16},
    "gemma2": {"head_dim": 16},
    "phi3": {},
}
CONFIGS = {
    name: SMALL | more | {"model_type": name.partition(" ")[0]} for name, more in VARIANTS.items()
}


@pytest.mark.vllm
def test_names_and_shapes_are_those_of_transformers() -> None:
    program = Path(real.__file__).with_name("described.py")
    command = [interpreter().python, "-I", program]
    said = subprocess.run(
        command, input=json.dumps(CONFIGS).encode(), capture_output=True, check=True, env={}
    )
    for name, wanted in json.loads(said.stdout).items():
        found = {each: list(one.shape) for each, one in implied(CONFIGS[name]).items()}
        assert found == wanted, name


@pytest.mark.parametrize("key", TINY_KEYS)
def test_a_model_without_its_weights_is_described_like_one_with_them(
    key: str, tmp_path: Path
) -> None:
    whole = directory_of(key)
    (tmp_path / "config.json").write_bytes((whole / "config.json").read_bytes())
    found, wanted = (Architecture(open_checkpoint(each)) for each in (tmp_path, whole))
    assert found.get_architecture_summary() == wanted.get_architecture_summary()
    assert found.list_layers() == wanted.list_layers()
    for name in ("model.layers.1", "model.norm", "lm_head", "model.embed_tokens"):
        assert found.get_layer_info(name) == wanted.get_layer_info(name)
        assert found.describe_layer(name) == wanted.describe_layer(name)
        assert found.find_similar_layers(name) == wanted.find_similar_layers(name)


def test_packed_matrices_have_the_type_of_what_is_packed() -> None:
    quantised = {"quant_method": "gptq", "bits": 8}
    found = implied(CONFIGS["qwen2"] | {"dtype": "float16", "quantization_config": quantised})
    assert found["model.layers.0.mlp.up_proj.weight"].dtype == "int8"
    assert found["model.layers.0.self_attn.q_proj.bias"].dtype == "float16"
    assert found["model.embed_tokens.weight"].dtype == "float16"


@pytest.mark.parametrize(
    "damage",
    [
        {"model_type": "unheard-of"},
        {"model_type": None},
        {"hidden_size": "32"},
        {"num_hidden_layers": 10**9},
        {"num_attention_heads": 0},
        {"vocab_size": -1},
        {"head_dim": 2.5},
    ],
)
def test_a_configuration_that_makes_no_sense_implies_nothing(damage: dict[str, object]) -> None:
    assert implied(CONFIGS["qwen2"] | damage) == {}
