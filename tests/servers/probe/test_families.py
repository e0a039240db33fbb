"""Layers of many families of models: one vector per token as transformers has it, or a refusal."""

import subprocess
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import CapabilityError
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.probe import Insides
from servers.probe.client import Start, TorchProbe
from tests.servers.probe.real import directory_of, interpreter, start_of

pytestmark = pytest.mark.vllm

TEXT = "Hello you"
"""As many tokens as the models have heads: shapes alone do not tell heads from tokens."""
N = 4
Arrays = Mapping[str, npt.NDArray[Any]]


class Family:
    """One model, asked by a probe, and what transformers says about it."""

    def __init__(self, directory: Path, probe: TorchProbe) -> None:
        self.insides = Insides(probe, open_checkpoint(directory))
        self.wanted: Arrays = np.load(directory / "wanted.npz")


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("families")
    program = Path(__file__).with_name("made.py")
    command = [interpreter().python, "-I", program, directory_of("tiny-m"), out, TEXT]
    subprocess.run(command, check=True, capture_output=True, env={}, timeout=240)
    return out


@pytest.fixture(scope="module")
def family(request: pytest.FixtureRequest, families: Path) -> Any:  # noqa: ANN401 - a generator
    directory = families / request.param
    with TorchProbe(start_of(directory, directory / "log")) as probe:
        found = Family(directory, probe)
        found.insides.tokens(TEXT)
        yield found


def of(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("family", names, indirect=True)


def assert_equal(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> None:
    assert found.shape == wanted.shape
    assert np.linalg.norm(found - wanted) < 1e-4 * np.linalg.norm(wanted)


Q_NORM = "model.layers.1.self_attn.q_norm"


@of("qwen3")
def test_heads_after_the_tokens_stand_one_after_another(family: Family) -> None:
    found = family.insides.outputs(TEXT, [Q_NORM])[Q_NORM]
    assert_equal(found, family.wanted[Q_NORM].reshape(N, -1))


@of("gemma3_text")
def test_heads_before_the_tokens_stand_one_after_another(family: Family) -> None:
    found = family.insides.outputs(TEXT, [Q_NORM])[Q_NORM]
    assert_equal(found, family.wanted[Q_NORM][0].transpose(1, 0, 2).reshape(N, -1))
    _, by_layer = family.insides.gradients(TEXT, [Q_NORM])
    wanted = family.wanted[f"by {Q_NORM}"][0].transpose(1, 0, 2).reshape(N, -1)
    assert_equal(by_layer[Q_NORM], wanted)


@of("gemma3_text")
def test_a_generation_has_one_row_of_all_heads_per_step(family: Family) -> None:
    written, outputs = family.insides.generation(TEXT, [Q_NORM], 3)
    assert outputs[Q_NORM].shape == (len(written.steps), 32)
    assert_equal(outputs[Q_NORM][0], family.wanted[Q_NORM][0, :, -1].reshape(-1))


@of("qwen2_moe")
def test_layers_that_put_out_tokens_alone_have_all_their_rows(family: Family) -> None:
    names = ["model.layers.0.mlp.gate", "model.layers.0.mlp.shared_expert"]
    found = family.insides.outputs(TEXT, names)
    _, by_layer = family.insides.gradients(TEXT, names)
    for name in names:
        assert_equal(found[name], family.wanted[name].reshape(N, -1))
        assert_equal(by_layer[name], family.wanted[f"by {name}"].reshape(N, -1))


@of("qwen2_moe")
def test_an_expert_that_is_no_module_of_its_own_is_refused_and_costs_nothing(
    family: Family,
) -> None:
    name = "model.layers.0.mlp.experts.0"
    wanted = f"^'{name}' puts out no vector for each token"
    for ask in (
        lambda: family.insides.outputs(TEXT, ["model.layers.0", name]),
        lambda: family.insides.gradients(TEXT, [name]),
        lambda: family.insides.generation(TEXT, [name], 2),
    ):
        with pytest.raises(CapabilityError, match=wanted):
            ask()
    assert family.insides.outputs(TEXT, ["model.layers.0"])["model.layers.0"].shape == (N, 32)


class Narrow(Start):
    """A probe whose replies hold two outputs of a layer."""

    @property
    def argv(self) -> list[str]:
        words = super().argv
        words[words.index("--max-bytes") + 1] = str(2 * 4 * N * 32)
        return words


def test_after_a_refused_question_nothing_is_watched(families: Path, tmp_path: Path) -> None:
    start = start_of(families / "qwen2_moe", tmp_path / "log")
    narrow = Narrow(**{field.name: getattr(start, field.name) for field in fields(start)})
    with TorchProbe(narrow) as probe:
        insides = Insides(probe, open_checkpoint(start.checkpoint))
        with pytest.raises(CapabilityError, match="puts out no vector"):
            insides.outputs(TEXT, ["model.layers.0", "model.layers.0.mlp.experts.0"])
        for _ in range(4):
            assert set(insides.outputs(TEXT, ["model.layers.1"])) == {"model.layers.1"}


@of("lfm2")
def test_a_convolution_is_refused_and_what_it_is_in_is_shown(family: Family) -> None:
    with pytest.raises(CapabilityError, match="puts out no vector for each token"):
        family.insides.outputs(TEXT, ["model.layers.0.conv.conv"])
    name = "model.layers.0.conv"
    assert_equal(family.insides.outputs(TEXT, [name])[name], family.wanted[name][0])


@of("lfm2")
def test_attention_of_a_hybrid_goes_by_the_name_of_its_layer(family: Family) -> None:
    attending = family.insides.attending(None)
    assert attending == ["model.layers.1"]
    found = family.insides.attention(TEXT, attending)
    assert_equal(found["model.layers.1"], family.wanted["attention"])


@of("gpt2")
def test_names_without_that_of_the_inner_model_are_known(family: Family) -> None:
    found = family.insides.outputs(TEXT, ["h.0", "wte"])
    assert_equal(found["h.0"], family.wanted["transformer.h.0"][0])


@of("gpt2")
def test_positions_have_gradients_of_their_own(family: Family) -> None:
    _, by_layer = family.insides.gradients(TEXT, ["wpe"])
    assert_equal(by_layer["wpe"], family.wanted["by transformer.wpe"][0])


@of("qwen3")
def test_a_text_ends_where_it_would_when_it_is_served(family: Family) -> None:
    written, _ = family.insides.generation(TEXT, [], 6)
    assert len(written.steps) == 3


@of("mamba")
def test_a_model_without_attention_is_shown_all_the_same(family: Family) -> None:
    name = "backbone.layers.0.mixer"
    assert_equal(family.insides.outputs(TEXT, [name])[name], family.wanted[name][0])
    written, _ = family.insides.generation(TEXT, [], 6)
    assert len(written.steps) == len(family.wanted["written"])
    with pytest.raises(CapabilityError, match="no layer of this model has attention"):
        family.insides.attending(None)
