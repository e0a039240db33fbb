"""Whole runs of endpoints whose weights lie on a hub, or of which only a configuration is known."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.events import IntrospectionCosts
from tests.cli.program import endpoint, events_of, run, two_arms
from tests.faults.asks import Ask
from tests.introspection.hub import Hub, serving_hub
from tests.servers.probe.real import directory_of

KEY = "hf_made_up_secret"
LOOK = """
from introspection import architecture, weights
print(architecture.get_architecture_summary()["n_layers"])
print(weights.get_weight_statistics("model.embed_tokens.weight")["std"])
"""


def looks(ask: Ask) -> str:
    code = LOOK if ask.turn == 0 else "print('EXPERIMENT_COMPLETE')"
    return f"Step {ask.turn}.\n\n```python\n{code}\n```"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving_hub(tmp_path) as served:
        for name in ("HF_ENDPOINT", "HF_HOME", "XDG_CACHE_HOME"):
            monkeypatch.setenv(name, served.environment[name])
        monkeypatch.setenv("HF_TOKEN", KEY)
        for key in ("tiny-s", "tiny-m"):
            shutil.copytree(directory_of(key), served.root / "gated" / key)
        yield served


def checkpoints(a: str, b: str) -> tuple[str, ...]:
    return ("--checkpoint", f"a={a}", "--checkpoint", f"b={b}")


def manifest(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "manifest.json").read_text())


async def test_a_run_reads_its_weights_from_the_hub_at_one_commit(tmp_path: Path, hub: Hub) -> None:
    async with endpoint(reply=looks) as server:
        arms = (*two_arms(server), *checkpoints("gated/tiny-s", "gated/tiny-m"))
        done = await run("compare", "1a", *arms, "--out", "out", cwd=tmp_path)
        resumed = await run("resume", "out", cwd=tmp_path)
    assert done.code == resumed.code == 0, done.err + resumed.err
    assert "`hf download gated/tiny-s --revision" in " ".join(done.err.split())
    found = manifest(tmp_path / "out")
    assert set(found["capabilities"]) == {"architecture", "weights", "memory", "generation"}
    names, commits = zip(*(arm["checkpoint"].split("@") for arm in found["arms"]), strict=True)
    assert names == ("gated/tiny-s", "gated/tiny-m")
    assert {len(commit) for commit in commits} == {40}
    assert not (Path(hub.environment["HF_HOME"]) / "hub").exists()
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*.*"))
    assert KEY not in done.out + done.err
    assert KEY.encode() not in written


async def test_the_journal_tells_what_answers_cost(tmp_path: Path, hub: Hub) -> None:
    assert hub
    async with endpoint(reply=looks) as server:
        arms = (*two_arms(server), *checkpoints("gated/tiny-s", "gated/tiny-m"))
        flags = ("--replicates", "3", "--out", "out")
        done = await run("compare", "comparison", *arms, *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    told = [each for each in events_of(tmp_path / "out") if isinstance(each, IntrospectionCosts)]
    assert {each.model for each in told} == {"a", "b"}
    for each in told:
        cost = each.methods["weights.get_weight_statistics"]
        assert (cost.n_asked, cost.n_computed) == (3, 1)
        assert cost.compute_s > 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    asked = summary["introspection"]["a"]
    assert (asked["n_asked"], asked["n_computed"]) == (6, 2)
    assert set(asked["methods"]) == set(told[0].methods)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<dt>questions about a</dt><dd>6 asked, 2 computed in" in page


async def test_an_arm_with_a_configuration_alone_leaves_all_arms_with_architecture(
    tmp_path: Path, hub: Hub
) -> None:
    (hub.root / "gated" / "tiny-m" / "model.safetensors").unlink()
    async with endpoint() as server:
        arms = (*two_arms(server), *checkpoints("gated/tiny-s", "gated/tiny-m"))
        done = await run("compare", "1a", *arms, "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "the weights of b cannot be read: there is no safetensors file in" in done.err
    found = manifest(tmp_path / "out")
    assert set(found["capabilities"]) == {"architecture", "memory", "generation"}


async def test_an_unreachable_hub_stops_a_run_before_it_begins(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    async with endpoint() as server:
        arms = (*two_arms(server), *checkpoints("gated/tiny-s", "gated/tiny-m"))
        done = await run("compare", "1a", *arms, "--out", "out", cwd=tmp_path)
    assert done.code == 3
    assert "the hub is switched off here (HF_HUB_OFFLINE)" in " ".join(done.err.split())
    assert not (tmp_path / "out").exists()
