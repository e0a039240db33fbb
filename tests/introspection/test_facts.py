"""What the manifest keeps of a model, so that its claims can be judged later."""

from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.facts import facts_of
from servers.embedded.model import tiny_models


def test_the_facts_of_a_model_are_its_figures_and_the_patterns_of_its_names() -> None:
    checkpoint = open_checkpoint(tiny_models()[0].directory)
    facts = facts_of(checkpoint)
    assert facts.figures["n_layers"] == checkpoint.config["num_hidden_layers"]
    assert "model.layers.*.mlp.up_proj.weight" in facts.names
    assert "model.layers.*" in facts.names
    assert len(facts.names) < 40
