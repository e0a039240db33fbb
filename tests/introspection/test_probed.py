"""Figures of the capabilities that a probe answers, recomputed from the arrays behind them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import CapabilityError
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.probe import Question
from engine.introspection.subject import Subject
from tests.introspection.drawn import DrawnProbe

TEXT, OTHER = "a cat sat down", "it rained all day long"
LAYER = "model.layers.1"


@pytest.fixture
def probe() -> DrawnProbe:
    return DrawnProbe()


@pytest.fixture
def drawn(checkpoint_dir: Path, probe: DrawnProbe) -> Subject:
    return Subject(open_checkpoint(checkpoint_dir), probe=probe)


async def told(subject: Subject, method: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
    return await subject.ask(method, arguments)


def output(probe: DrawnProbe, text: str, layer: str = LAYER) -> npt.NDArray[np.float64]:
    asked = Question(operation="outputs", text=text, layers=(layer,))
    return probe.ask(asked)[1][layer].astype(np.float64)


def maps(probe: DrawnProbe, text: str, place: int) -> npt.NDArray[np.float64]:
    asked = Question(operation="attention", text=text, places=(place,))
    return probe.ask(asked)[1][str(place)].astype(np.float64)


def cosine(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


async def test_statistics_are_those_of_the_values(drawn: Subject, probe: DrawnProbe) -> None:
    found = await told(drawn, "activations.get_activation_statistics", text=TEXT, layer_name=LAYER)
    values = output(probe, TEXT)
    assert found["shape"] == list(values.shape)
    for key, wanted in {
        "mean": values.mean(),
        "std": values.std(),
        "min": values.min(),
        "abs_mean": np.abs(values).mean(),
        "l2_norm": np.linalg.norm(values),
    }.items():
        assert found[key] == pytest.approx(wanted, rel=1e-5), key
    top = int(np.abs(values.mean(axis=0)).argmax())
    assert next(iter(found["largest_units"])) == str(top)


async def test_arrays_are_the_values_themselves(drawn: Subject, probe: DrawnProbe) -> None:
    method = "activations.capture_activations"
    found = await told(drawn, method, text=TEXT, layer_name=[LAYER], as_arrays=True)
    assert np.array_equal(found[LAYER], output(probe, TEXT))
    with pytest.raises(ValueError, match="read-only"):
        found[LAYER][0] = 0


async def test_comparison_of_two_texts_is_that_of_their_means(
    drawn: Subject, probe: DrawnProbe
) -> None:
    method = "temporal.compare_activations"
    found = await told(drawn, method, text=TEXT, other_text=OTHER, layer_name=LAYER)
    first, second = output(probe, TEXT), output(probe, OTHER)
    means = first.mean(axis=0), second.mean(axis=0)
    gap = np.linalg.norm(means[0] - means[1])
    assert found["mean_cosine"] == pytest.approx(cosine(*means), rel=1e-4)
    assert found["last_cosine"] == pytest.approx(cosine(first[-1], second[-1]), rel=1e-4)
    assert found["l2_distance"] == pytest.approx(gap, rel=1e-4)
    assert found["relative_change"] == pytest.approx(gap / np.linalg.norm(means[0]), rel=1e-4)


async def test_similarity_of_texts_is_symmetric_and_one_on_the_diagonal(
    drawn: Subject, probe: DrawnProbe
) -> None:
    texts = [TEXT, OTHER, TEXT + " again"]
    method = "temporal.compute_activation_similarity"
    found = await told(drawn, method, texts=texts, layer_name=LAYER)
    matrix = np.array(found["similarity"])
    means = [output(probe, text).mean(axis=0) for text in texts]
    wanted = np.array([[cosine(one, other) for other in means] for one in means])
    assert np.allclose(matrix, wanted, atol=1e-5)
    pairs = {(i, j): wanted[i, j] for i in range(3) for j in range(i + 1, 3)}
    assert tuple(found["most_similar"]) == max(pairs, key=lambda pair: pairs[pair])


async def test_anomalies_are_counted_by_z_scores(drawn: Subject, probe: DrawnProbe) -> None:
    method = "temporal.detect_activation_anomalies"
    given = {"text": TEXT, "reference_texts": [OTHER, "so it goes"], "layer_name": LAYER}
    (found,) = await told(drawn, method, **given, threshold=0.5)
    known = np.concatenate([output(probe, OTHER), output(probe, "so it goes")])
    scores = (output(probe, TEXT).mean(axis=0) - known.mean(axis=0)) / known.std(axis=0)
    assert found["n_anomalous"] == int((np.abs(scores) >= 0.5).sum())
    top = int(np.abs(scores).argmax())
    assert found["units"][str(top)] == pytest.approx(scores[top], rel=1e-4)


async def test_flow_tells_the_change_from_layer_to_layer(drawn: Subject, probe: DrawnProbe) -> None:
    found = await told(drawn, "temporal.track_layer_flow", text=TEXT)
    layers = [output(probe, TEXT, f"model.layers.{n}") for n in range(3)]
    assert found[0]["relative_change"] is None
    for place in (1, 2):
        gap = np.linalg.norm(layers[place] - layers[place - 1])
        wanted = gap / np.linalg.norm(layers[place - 1])
        assert found[place]["relative_change"] == pytest.approx(wanted, rel=1e-4)
        assert found[place]["norm"] == pytest.approx(
            np.linalg.norm(layers[place], axis=1).mean(), rel=1e-4
        )


async def test_entropy_of_heads_is_in_bits(drawn: Subject, probe: DrawnProbe) -> None:
    (found,) = await told(drawn, "attention.compute_attention_entropy", text=TEXT, layer_name=LAYER)
    shares = maps(probe, TEXT, 1)
    bits = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=-1).mean(axis=-1)
    assert found["by_head"] == pytest.approx(bits.tolist(), rel=1e-4)
    assert found["entropy"] == pytest.approx(bits.mean(), rel=1e-4)
    assert found["max_entropy"] == pytest.approx(np.log2([1, 2, 3, 4]).mean(), rel=1e-4)


async def test_patterns_of_a_head_are_means_of_its_shares(
    drawn: Subject, probe: DrawnProbe
) -> None:
    method = "attention.analyze_attention_patterns"
    found = await told(drawn, method, text=TEXT, layer_name=f"{LAYER}.self_attn")
    shares = maps(probe, TEXT, 1)[2]
    head = found["heads"][2]
    assert head["to_first"] == pytest.approx(shares[:, 0].mean(), rel=1e-4)
    assert head["to_self"] == pytest.approx(np.diagonal(shares).mean(), rel=1e-4)
    assert head["to_previous"] == pytest.approx(np.diagonal(shares, -1).sum() / 3, rel=1e-4)
    back = np.subtract.outer(range(4), range(4))
    wanted = (shares * np.maximum(back, 0)).sum(axis=1).mean()
    assert head["distance"] == pytest.approx(wanted, rel=1e-4)


async def test_specialised_heads_are_the_strongest_of_all_layers(
    drawn: Subject, probe: DrawnProbe
) -> None:
    found = await told(drawn, "attention.find_head_specialization", text=TEXT, top_k=1)
    shares = {
        (place, head): maps(probe, TEXT, place)[head, :, 0].mean()
        for place in range(3)
        for head in range(4)
    }
    place, head = max(shares, key=lambda each: shares[each])
    (best,) = found["to_first"]
    assert (best["name"], best["head"]) == (f"model.layers.{place}", head)
    assert best["share"] == pytest.approx(shares[place, head], rel=1e-4)


async def test_sensitivity_shares_are_norms_of_gradients(drawn: Subject, probe: DrawnProbe) -> None:
    found = await told(drawn, "gradient.compute_input_sensitivity", text=TEXT)
    gradient = probe.ask(Question(operation="gradients", text=TEXT))[1][""].astype(np.float64)
    lengths = np.linalg.norm(gradient, axis=1)
    assert [row["sensitivity"] for row in found["tokens"]] == pytest.approx(
        lengths.tolist(), rel=1e-4
    )
    assert sum(row["share"] for row in found["tokens"]) == pytest.approx(1, rel=1e-4)
    (best,) = await told(drawn, "gradient.find_influential_tokens", text=TEXT, top_k=1)
    assert best["index"] == int(lengths.argmax())


BAD: Mapping[str, tuple[str, dict[str, object], str]] = {
    "unknown layer": (
        "activations.capture_activations",
        {"text": TEXT, "layer_name": "model.layer.0"},
        r"no layer 'model\.layer\.0'; did you mean 'model\.layers\.\d+'",
    ),
    "layer without attention": (
        "attention.analyze_attention_patterns",
        {"text": TEXT, "layer_name": "model.norm"},
        "'model.norm' is no layer with attention",
    ),
    "empty text": ("activations.get_input_shape", {"text": " "}, "text is empty"),
    "too long": ("gradient.find_influential_tokens", {"text": "w " * 257}, "257 tokens"),
    "far too long": ("activations.get_input_shape", {"text": "w " * 20_000}, "40000 characters"),
    "too many names": (
        "activations.capture_activations",
        {"text": TEXT, "layer_name": ["model.norm"] * 41},
        "41 names were given",
    ),
    "index": (
        "attention.get_token_attention_summary",
        {"text": TEXT, "token_index": 4},
        "token_index 4 is out of range",
    ),
    "tokens": (
        "temporal.capture_generation_activations",
        {"text": TEXT, "layer_name": LAYER, "n_tokens": 33},
        "n_tokens must be 1 to 32",
    ),
    "threshold": (
        "temporal.detect_activation_anomalies",
        {"text": TEXT, "reference_texts": [OTHER], "threshold": 0},
        "threshold must be more than 0",
    ),
    "one text": (
        "temporal.compute_activation_similarity",
        {"texts": [TEXT], "layer_name": LAYER},
        "texts must be 2 to 10 texts, not 1",
    ),
    "wrong type": (
        "activations.capture_activations",
        {"text": 3, "layer_name": LAYER},
        "argument 'text' must be str",
    ),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_wrong_argument_is_refused_with_what_would_be_right(
    drawn: Subject, case: str
) -> None:
    method, given, problem = BAD[case]
    with pytest.raises(CapabilityError, match=problem):
        await drawn.ask(method, given)


async def test_a_wrong_layer_asks_the_probe_nothing(drawn: Subject, probe: DrawnProbe) -> None:
    with pytest.raises(CapabilityError):
        await told(drawn, "activations.capture_activations", text=TEXT, layer_name="nothing")
    assert not probe.asked


async def test_the_same_question_is_put_to_the_probe_once(
    drawn: Subject, probe: DrawnProbe
) -> None:
    for _ in range(3):
        await told(drawn, "activations.capture_activations", text=TEXT, layer_name=LAYER)
    assert len(probe.asked) == 1
