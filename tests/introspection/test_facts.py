"""What the manifest keeps of a model, so that its claims can be judged later."""

import json
from pathlib import Path

import msgspec
import pytest

from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.facts import Facts, facts_of
from engine.manifest import ModelFacts
from servers.embedded.model import tiny_models


def test_the_facts_of_a_model_are_its_figures_and_the_patterns_of_its_names() -> None:
    checkpoint = open_checkpoint(tiny_models()[0].directory)
    facts = facts_of(checkpoint)
    assert facts.figures["n_layers"] == checkpoint.config["num_hidden_layers"]
    assert "model.layers.*.mlp.up_proj.weight" in facts.names
    assert "model.layers.*" in facts.names
    assert len(facts.names) < 40


def described(root: Path, config: dict[str, object]) -> Facts:
    (root / "config.json").write_text(json.dumps(config))
    return facts_of(open_checkpoint(root))


@pytest.mark.parametrize(
    ("more", "dtype"),
    [({"torch_dtype": "bfloat16"}, "bfloat16"), ({"dtype": "f"}, "f"), ({}, None)],
)
def test_without_weights_an_unknown_family_has_the_facts_of_its_configuration(
    tmp_path: Path, more: dict[str, object], dtype: str | None
) -> None:
    found = described(tmp_path, {"model_type": "olmo2", "num_hidden_layers": 16, **more})
    assert (found.figures["n_layers"], found.figures["dtype"]) == (16, dtype)
    assert found.figures["n_parameters"] is None
    assert found.figures["tied_embeddings"] is None
    assert found.names == ()


def test_a_size_that_differs_from_layer_to_layer_is_no_figure(tmp_path: Path) -> None:
    found = described(tmp_path, {"model_type": "gemma3n", "intermediate_size": [8192, 16384]})
    kept = ModelFacts.model_validate(msgspec.structs.asdict(found))
    assert kept.figures["intermediate_size"] is None


def test_a_model_whose_cache_alone_is_quantised_is_not_told_that_its_weights_are(
    tmp_path: Path,
) -> None:
    cache = {"config_groups": {}, "kv_cache_scheme": {"num_bits": 8, "type": "float"}}
    quantization = {"quant_method": "compressed-tensors", **cache}
    found = described(tmp_path, {"model_type": "qwen2", "quantization_config": quantization})
    assert "quantization" not in found.figures
