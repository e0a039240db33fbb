"""Probes in whole runs: for every arm or for none, and said so."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from engine.events import TurnEnded
from tests.cli.program import endpoint, events_of, run, two_arms
from tests.faults.asks import Ask
from tests.processes import children
from tests.servers.probe.real import directory_of

LOOK = """
from introspection import activations, attention, gradient, history, temporal
print(activations.capture_activations("Hello you", "model.layers.0")["shape"])
print(len(attention.compute_attention_entropy("Hello you")))
print(gradient.find_influential_tokens("Hello you", top_k=1)[0].keys())
print(temporal.capture_generation_activations("Hello", "model.layers.0", n_tokens=2)["norms"])
history.start_tracking()
history.record_turn("I look at my layers.")
print(history.get_tracking_status()["n_turns"])
"""
PROBED = ("activations", "temporal", "attention", "gradient", "history")


def looks(ask: Ask) -> str:
    code = LOOK if ask.turn == 0 else "print('EXPERIMENT_COMPLETE')"
    return f"Step {ask.turn}.\n\n```python\n{code}\n```"


def checkpoints(*pairs: str) -> list[str]:
    """`a=tiny-s` -> --checkpoint a=DIR."""
    named = [pair.partition("=") for pair in pairs]
    return [
        word for arm, _, key in named for word in ("--checkpoint", f"{arm}={directory_of(key)}")
    ]


def manifest(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "manifest.json").read_text())


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="our Python has torch")
async def test_without_a_python_that_has_torch_no_arm_has_probes(tmp_path: Path) -> None:
    async with endpoint() as server:
        arms = (*two_arms(server), *checkpoints("a=tiny-s", "b=tiny-m"))
        done = await run("compare", "1a", *arms, "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    wanted = (
        "phase 1a: no introspection of activations, temporal, attention, gradient, history in any"
        " arm: no Python with torch and transformers was found."
    )
    assert wanted in " ".join(done.err.split())
    found = manifest(tmp_path / "out")
    assert set(found["capabilities"]) == {"architecture", "weights", "memory", "generation"}
    assert found["probe"] is None


@pytest.mark.vllm
async def test_every_arm_looks_inside_its_own_weights(tmp_path: Path) -> None:
    before = children()
    async with endpoint(reply=looks) as server:
        arms = (*two_arms(server), *checkpoints("a=tiny-s", "b=tiny-m"))
        done = await run("compare", "1a", *arms, "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "no introspection" not in done.err
    found = manifest(tmp_path / "out")
    assert set(PROBED) < set(found["capabilities"])
    assert found["probe"]["dtype"] == "float32"
    ended = [event for event in events_of(tmp_path / "out") if isinstance(event, TurnEnded)]
    ran = [(event.investigation, one) for event in ended for one in event.executions]
    outputs = {name: execution for name, execution in ran if execution.calls}
    assert {name.partition(".")[0] for name in outputs} == {"a", "b"}
    for name, execution in outputs.items():
        width = 128 if name.startswith("a.") else 160
        assert execution.error is None, execution.output
        assert execution.output.splitlines()[0].endswith(f", {width}]")
    assert children() <= before
