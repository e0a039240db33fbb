from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import CapabilityError
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.subject import Subject
from engine.introspection.weights import Weights

Arrays = dict[str, npt.NDArray[np.float32]]

DOWN = "model.layers.{}.mlp.down_proj.weight"


@pytest.fixture
def weights(subject: Subject) -> Weights:
    assert subject.checkpoint is not None
    return Weights(subject.checkpoint)


def test_statistics_equal_the_direct_computation(weights: Weights, arrays: Arrays) -> None:
    for name, array in arrays.items():
        found = weights.get_weight_statistics(name)
        exact = array.astype(np.float64)
        assert isinstance(found, dict)
        assert found == {
            "name": name,
            "shape": list(array.shape),
            "dtype": "float32",
            "n_values": array.size,
            "mean": pytest.approx(exact.mean(), rel=1e-5),
            "std": pytest.approx(exact.std(), rel=1e-5),
            "min": pytest.approx(exact.min(), rel=1e-5),
            "max": pytest.approx(exact.max(), rel=1e-5),
            "abs_mean": pytest.approx(np.abs(exact).mean(), rel=1e-5),
            "l2_norm": pytest.approx(np.linalg.norm(exact), rel=1e-5),
            "zero_fraction": 0.0,
        }


def test_a_list_of_parameters_gives_a_list(weights: Weights) -> None:
    found = weights.get_weight_statistics([DOWN.format(0), DOWN.format(1)])
    assert isinstance(found, list)
    assert [each["name"] for each in found] == [DOWN.format(0), DOWN.format(1)]


def test_more_names_than_are_answered_are_refused(weights: Weights) -> None:
    with pytest.raises(CapabilityError, match="41 names were given, at most 40"):
        weights.get_weight_statistics([DOWN.format(0)] * 41)


def test_parameters_are_listed_in_groups(weights: Weights) -> None:
    listed = weights.list_parameters()
    groups = listed["groups"]
    assert isinstance(groups, dict)
    assert groups["model.layers.*.mlp.down_proj.weight"] == "3 x [32, 48]"
    assert groups["lm_head.weight"] == "1 x [64, 32]"


def test_parameters_of_a_layer_have_shapes(weights: Weights) -> None:
    found = weights.get_layer_parameters(["model.norm", "model.layers.0.mlp.up_proj"])
    assert found == {"model.norm.weight": [32], "model.layers.0.mlp.up_proj.weight": [48, 32]}


def test_comparison_equals_the_direct_computation(weights: Weights, arrays: Arrays) -> None:
    found = weights.compare_parameters(DOWN.format(0), DOWN.format(2))
    first, second = (arrays[DOWN.format(n)].reshape(-1).astype(np.float64) for n in (0, 2))
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert found == {
        "same_shape": True,
        "means": pytest.approx([first.mean(), second.mean()], rel=1e-5),
        "stds": pytest.approx([first.std(), second.std()], rel=1e-5),
        "cosine_similarity": pytest.approx(cosine, rel=1e-5),
        "l2_distance": pytest.approx(np.linalg.norm(first - second), rel=1e-5),
        "max_abs_difference": pytest.approx(np.abs(first - second).max(), rel=1e-5),
    }


def test_parameters_of_other_shape_are_compared_by_moments_only(weights: Weights) -> None:
    found = weights.compare_parameters(DOWN.format(0), "model.norm.weight")
    assert set(found) == {"same_shape", "means", "stds"}
    assert found["same_shape"] is False


def test_shared_weights_are_the_tied_embeddings(weights: Weights) -> None:
    assert weights.get_shared_weights() == [["model.embed_tokens.weight", "lm_head.weight"]]


def test_similar_weights_are_ranked_by_distribution(weights: Weights, arrays: Arrays) -> None:
    found = weights.find_similar_weights(DOWN.format(0))
    assert {each["name"] for each in found} == {DOWN.format(1), DOWN.format(2)}
    names = (DOWN.format(0), str(found[0]["name"]))
    first, best = (np.sort(arrays[name].reshape(-1)) for name in names)
    gap = np.abs(first - best).mean() / (np.abs(first) + np.abs(best)).mean()
    assert found[0]["similarity"] == pytest.approx(1 - gap, rel=1e-4)
    assert found[0]["std_ratio"] == pytest.approx(best.std() / first.std(), rel=1e-4)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_weights_that_are_not_all_finite_have_no_similarity_and_come_last(
    write_checkpoint: Callable[[Arrays, Mapping[str, object]], Path], arrays: Arrays, value: float
) -> None:
    arrays[DOWN.format(1)][0, 0] = value
    weights = Weights(open_checkpoint(write_checkpoint(arrays, {})))
    found = weights.find_similar_weights(DOWN.format(0))
    assert [each["name"] for each in found] == [DOWN.format(2), DOWN.format(1)]
    assert (found[1]["similarity"], found[1]["std_ratio"]) == (None, None)


def test_a_parameter_that_is_the_same_everywhere_has_no_ratio_of_spreads(
    write_checkpoint: Callable[[Arrays, Mapping[str, object]], Path], arrays: Arrays
) -> None:
    arrays[DOWN.format(0)][:] = 1
    weights = Weights(open_checkpoint(write_checkpoint(arrays, {})))
    assert {each["std_ratio"] for each in weights.find_similar_weights(DOWN.format(0))} == {None}


def test_weights_that_are_not_all_finite_have_no_largest_difference(
    write_checkpoint: Callable[[Arrays, Mapping[str, object]], Path], arrays: Arrays
) -> None:
    arrays[DOWN.format(1)][0, 0] = np.nan
    weights = Weights(open_checkpoint(write_checkpoint(arrays, {})))
    found = weights.compare_parameters(DOWN.format(0), DOWN.format(1))
    assert found["max_abs_difference"] is None


def test_a_tied_parameter_is_not_similar_to_itself(weights: Weights) -> None:
    assert weights.find_similar_weights("lm_head.weight") == []


def test_a_layer_is_no_parameter(weights: Weights) -> None:
    with pytest.raises(CapabilityError) as refusal:
        weights.get_weight_statistics("model.layers.0.mlp")
    assert str(refusal.value) == (
        "no parameter 'model.layers.0.mlp'; that is a layer, with parameters such as"
        " 'model.layers.0.mlp.gate_proj.weight'. See weights.list_parameters()"
    )


def test_a_near_parameter_name_is_offered(weights: Weights) -> None:
    with pytest.raises(CapabilityError, match=r"did you mean 'model\.norm\.weight'\?"):
        weights.get_weight_statistics("model.norms.weight")
