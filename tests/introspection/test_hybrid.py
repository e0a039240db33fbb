"""Models whose decoder layers do not all have attention."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from engine.errors import CapabilityError
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.probe import Insides
from tests.introspection.drawn import DrawnProbe

Write = Callable[[Mapping[str, np.ndarray], Mapping[str, object]], Path]
SQUARE, VECTOR = np.ones((4, 4), np.float32), np.ones(4, np.float32)
STORED = {
    "model.layers.0.conv.in_proj.weight": SQUARE,
    "model.layers.1.self_attn.q_proj.weight": SQUARE,
    "model.layers.1.self_attn.sinks": VECTOR,
    "model.layers.2.linear_attn.A_log": VECTOR,
    "model.layers.2.linear_attn.in_proj.weight": SQUARE,
    "model.layers.3.self_attn.q_proj.weight": SQUARE,
}


@pytest.fixture
def probe() -> DrawnProbe:
    return DrawnProbe()


@pytest.fixture
def insides(write_checkpoint: Write, probe: DrawnProbe) -> Insides:
    return Insides(probe, open_checkpoint(write_checkpoint(STORED, {})))


def test_all_layers_with_attention_are_those_that_have_it(insides: Insides) -> None:
    assert insides.attending(None) == ["model.layers.1", "model.layers.3"]


def test_attention_is_asked_for_by_its_place_among_the_layers_that_have_it(
    insides: Insides, probe: DrawnProbe
) -> None:
    found = insides.attention("a cat", insides.attending("model.layers.3.self_attn"))
    assert list(found) == ["model.layers.3"]
    assert probe.asked[-1].places == (1,)


@pytest.mark.parametrize(
    "name", ["model.layers.0", "model.layers.0.conv", "model.layers.2.linear_attn"]
)
def test_a_layer_without_attention_is_refused(insides: Insides, name: str) -> None:
    wanted = f"^{name!r} is no layer with attention; one is 'model.layers.1'$"
    with pytest.raises(CapabilityError, match=wanted):
        insides.attending(name)


def test_without_any_attention_there_is_none_to_ask_for(
    write_checkpoint: Write, probe: DrawnProbe
) -> None:
    stored = {"model.layers.0.conv.in_proj.weight": SQUARE}
    insides = Insides(probe, open_checkpoint(write_checkpoint(stored, {})))
    with pytest.raises(CapabilityError, match=r"^no layer of this model has attention$"):
        insides.attending(None)
    with pytest.raises(CapabilityError, match=r"is no layer with attention; there is none$"):
        insides.attending("model.layers.0")
