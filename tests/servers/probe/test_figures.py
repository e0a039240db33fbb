"""What a probe answers is what transformers computes, in float32."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.introspection.probe import Insides
from engine.introspection.subject import Subject
from servers.embedded.model import TINY_KEYS
from tests.servers.probe.real import directory_of, interpreter, probing

pytestmark = pytest.mark.vllm

TEXT = "What do my layers do? I list them first, then I look at their weights."
Arrays = Mapping[str, npt.NDArray[Any]]


@pytest.fixture(scope="module", params=TINY_KEYS)
def key(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def direct(key: str, tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    out = tmp_path_factory.mktemp("direct") / "found.npz"
    program = Path(__file__).with_name("direct.py")
    command = [interpreter().python, "-I", program, directory_of(key), TEXT, out]
    subprocess.run(command, check=True, capture_output=True, env={}, timeout=240)
    return np.load(out)


@pytest.fixture(scope="module")
def insides(key: str, tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 - a generator
    with probing(key, tmp_path_factory.mktemp("probe") / "log") as (checkpoint, probe):
        found = Subject(checkpoint, probe=probe).insides
        assert found
        found.tokens(TEXT)
        yield found


def assert_equal(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> None:
    """Relative to the whole array: its smallest values are differences of large ones."""
    assert found.shape == wanted.shape
    assert np.linalg.norm(found - wanted) < 1e-4 * np.linalg.norm(wanted)


def test_outputs_of_layers_are_those_of_transformers(insides: Insides, direct: Arrays) -> None:
    names = [*insides.decoder[:-1], "model.embed_tokens", "model.norm", "lm_head", "model"]
    found = insides.outputs(TEXT, names)
    for place, name in enumerate(insides.decoder[:-1]):
        assert_equal(found[name], direct[f"layer{place}"])
    assert_equal(found["model.embed_tokens"], direct["embedded"])
    assert_equal(found["model.norm"], direct["normed"])
    assert_equal(found["model"], direct["normed"])
    assert_equal(found["lm_head"], direct["logits"])


def test_attention_is_that_of_transformers(insides: Insides, direct: Arrays) -> None:
    found = insides.attention(TEXT, insides.decoder)
    for place, name in enumerate(insides.decoder):
        assert_equal(found[name], direct[f"attention{place}"])
        assert np.allclose(found[name].sum(axis=-1), 1, atol=1e-5)


def test_gradients_are_those_of_transformers(insides: Insides, direct: Arrays) -> None:
    target, found = insides.gradients(TEXT, [*insides.decoder[:-1], "model.embed_tokens"])
    assert_equal(found[""], direct["gradient"])
    assert_equal(found["model.embed_tokens"], direct["gradient"])
    for place, name in enumerate(insides.decoder[:-1]):
        assert_equal(found[name], direct[f"by_layer{place}"])
    assert target.probability == pytest.approx(float(direct["probability"]), rel=1e-4)


def test_a_gradient_is_the_change_of_the_log_probability(insides: Insides) -> None:
    """Against the definition, with no autograd: the head's gradient is one-hot minus softmax."""
    target, found = insides.gradients(TEXT, ["lm_head"])
    logits = insides.outputs(TEXT, ["lm_head"])["lm_head"][-1].astype(np.float64)
    shares = np.exp(logits - logits.max())
    wanted = -shares / shares.sum()
    wanted[logits.argmax()] += 1
    assert_equal(found["lm_head"][-1], wanted)
    assert np.exp(np.log(target.probability)) == pytest.approx(1 - wanted[logits.argmax()])
    assert not found["lm_head"][:-1].any()


def test_a_text_goes_on_as_transformers_writes_it(insides: Insides, direct: Arrays) -> None:
    layer = insides.decoder[0]
    written, outputs = insides.generation(TEXT, [layer], 6)
    assert len(written.steps) == len(direct["written"])
    assert outputs[layer].shape[0] == len(written.steps)
    assert_equal(outputs[layer][0], insides.outputs(TEXT, [layer])[layer][-1])
