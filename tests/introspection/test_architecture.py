from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import CapabilityError
from engine.introspection.architecture import Architecture
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.facts import facts_of
from engine.introspection.subject import Subject


@pytest.fixture
def architecture(subject: Subject) -> Architecture:
    assert subject.checkpoint is not None
    return Architecture(subject.checkpoint)


def test_summary_counts_every_weight_once(
    architecture: Architecture, arrays: dict[str, npt.NDArray[np.generic]]
) -> None:
    summary = architecture.get_architecture_summary()
    assert summary["n_parameters"] == sum(array.size for array in arrays.values())
    assert (summary["n_layers"], summary["head_dim"], summary["tied_embeddings"]) == (3, 8, True)


def test_all_layers_are_listed_in_groups(architecture: Architecture) -> None:
    listed = architecture.list_layers()
    groups = listed["groups"]
    assert isinstance(groups, dict)
    assert groups["model.layers.*"] == "decoder layer x 3"
    assert groups["model.norm"] == "norm"
    assert listed["n_names"] == 3 * 12 + 5  # and model, embedding, list, norm, head


def test_filter_matches_any_case_and_wildcards(architecture: Architecture) -> None:
    by_text = architecture.list_layers("LAYERS.1.MLP")
    assert by_text["n_names"] == 4
    by_wildcard = architecture.list_layers("layers.*.q_proj")
    assert by_wildcard["layers"] == [f"model.layers.{n}.self_attn.q_proj" for n in range(3)]


def test_brackets_in_a_filter_are_no_pattern(architecture: Architecture) -> None:
    assert architecture.list_layers("layers.[01]")["n_names"] == 0


def test_layer_info_lists_what_is_inside(architecture: Architecture) -> None:
    info = architecture.get_layer_info("model.layers.2.mlp")
    assert isinstance(info, dict)
    assert info["n_parameters"] == 3 * 48 * 32
    assert info["parameters"] == {
        "gate_proj.weight": [48, 32],
        "up_proj.weight": [48, 32],
        "down_proj.weight": [32, 48],
    }


def test_a_list_of_names_gives_a_list(architecture: Architecture) -> None:
    infos = architecture.get_layer_info(["model.norm", "lm_head"])
    assert isinstance(infos, list)
    assert [info["kind"] for info in infos] == ["norm", "linear"]


def test_description_says_what_attention_has(architecture: Architecture) -> None:
    described = architecture.describe_layer("model.layers.0.self_attn")
    assert isinstance(described, dict)
    assert "4 query heads and 2 key/value heads of size 8" in str(described["description"])


def test_description_says_that_the_head_is_tied(architecture: Architecture) -> None:
    both = architecture.describe_layer(["lm_head", "model.norm"])
    assert isinstance(both, list)
    described, other = both
    assert "model.embed_tokens.weight" in str(described["description"])
    assert "model.embed_tokens.weight" not in str(other["description"])


def test_similar_layers_are_those_of_the_same_build(architecture: Architecture) -> None:
    found = architecture.find_similar_layers("model.layers.1.mlp", top_k=2)
    assert [each["name"] for each in found] == ["model.layers.0.mlp", "model.layers.2.mlp"]
    assert {each["similarity"] for each in found} == {1.0}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("model.layer.0", "did you mean 'model.layers.0'?"),
        ("layers.0.mlp", "did you mean 'model.layers.0.mlp'?"),
        ("model.layers.7", "model.layers.* goes from 0 to 2."),
        ("model.norm.weight", "that is a parameter of layer 'model.norm'."),
    ],
)
def test_a_wrong_name_is_answered_with_the_near_one(
    architecture: Architecture, name: str, hint: str
) -> None:
    with pytest.raises(CapabilityError) as refusal:
        architecture.describe_layer(name)
    assert str(refusal.value) == f"no layer {name!r}; {hint} See architecture.list_layers()"


def test_a_name_like_no_other_gets_no_guess(architecture: Architecture) -> None:
    with pytest.raises(CapabilityError, match=r"^no layer 'consciousness'\. See"):
        architecture.describe_layer("consciousness")


def test_quantised_model_says_so(checkpoint_dir: object, subject: Subject) -> None:
    assert checkpoint_dir
    assert subject.checkpoint is not None
    assert subject.checkpoint.directory is not None
    path = subject.checkpoint.directory / "config.json"
    text = path.read_text().replace("{", '{"quantization_config": {"quant_method": "fp8"}, ', 1)
    path.write_text(text)
    summary = Architecture(open_checkpoint(path.parent)).get_architecture_summary()
    assert summary["quantization"] == "fp8"


def test_weights_that_are_served_quantised_say_so(checkpoint_dir: Path) -> None:
    served = msgspec.structs.replace(open_checkpoint(checkpoint_dir), served_as="gguf 4-bit")
    assert Architecture(served).get_architecture_summary()["quantization"] == "gguf 4-bit"
    assert facts_of(served).figures["quantization"] == "gguf 4-bit"
