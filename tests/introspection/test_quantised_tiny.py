"""A tiny model quantised as vLLM serves it: what introspection says is true of its source."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from engine.introspection.architecture import Architecture
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.weights import Weights
from tests.contracts.vllm.checkpoints import GROUP, Method, write_quantized
from tests.servers.probe.real import directory_of


@pytest.mark.parametrize("method", ["awq", "gptq"])
def test_dequantised_weights_are_those_of_the_source_within_a_step(
    tmp_path: Path, method: Method
) -> None:
    source = directory_of("tiny-s")
    found = open_checkpoint(write_quantized(tmp_path / method, source, method))
    weights, original = Weights(found), load_file(source / "model.safetensors")
    assert set(found.parameters) == set(open_checkpoint(source).parameters)
    for name in (each for each in original if each.endswith("_proj.weight")):
        exact = original[name].astype(np.float32)
        groups = exact.reshape(len(exact), -1, GROUP)
        steps = np.abs(groups).max(axis=2) * 2 / 14 if method == "gptq" else np.ptp(groups, 2) / 15
        values = np.concatenate(list(found.blocks(name))).reshape(groups.shape)
        # Half a step by rounding, and half a step where the rounded zero point cuts off the ends.
        assert (np.abs(values - groups) <= 1.01 * steps[..., None] + 1e-4).all(), name
        told = weights.get_weight_statistics(name)
        assert isinstance(told, dict)
        assert told["is_dequantised"] is True
        assert told["shape"] == list(exact.shape)
        step = float(steps.max())
        assert told["mean"] == pytest.approx(float(exact.mean()), abs=step)
        assert told["std"] == pytest.approx(float(exact.std()), rel=0.05)
        assert told["l2_norm"] == pytest.approx(float(np.linalg.norm(exact)), rel=0.05)
        assert told["max"] == pytest.approx(float(exact.max()), abs=step)
    summary = Architecture(found).get_architecture_summary()
    assert summary["quantization"] == f"{method} 4-bit"
