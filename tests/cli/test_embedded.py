"""The main job on the models that ship: two real servers, real code, no network."""

import asyncio
import gc
import json
from collections import Counter
from pathlib import Path

import psutil
import pytest

from engine.cli.compare import plan_comparison
from engine.cli.conduct import conduct_study
from engine.cli.options import Options
from engine.drain import Drain
from engine.events import CompletionReceived
from tests.cli.program import events_of, run

pytestmark = pytest.mark.slow


async def test_the_bare_command_compares_the_two_tiny_models(tmp_path: Path) -> None:
    done = await run("--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "tiny-s" in done.out
    assert "tiny-m" in done.out
    comparison = json.loads((tmp_path / "out" / "model_comparison.json").read_text())
    for model, arm in comparison["models"].items():
        assert arm["code_blocks_executed"] > 0
        assert {talk["model"] for talk in arm["conversations"]} == {model}


async def test_their_requests_overlap_in_time(tmp_path: Path) -> None:
    await run("--replicates", "4", "--out", "out", cwd=tmp_path)
    spans: dict[str, list[tuple[float, float]]] = {"tiny-s": [], "tiny-m": []}
    for event in events_of(tmp_path / "out"):
        if isinstance(event, CompletionReceived):
            reply = event.completion
            spans[event.investigation.partition(".")[0]].append((reply.sent, reply.received))
    pairs = [(a, b) for a in spans["tiny-s"] for b in spans["tiny-m"]]
    assert any(a[0] < b[1] and b[0] < a[1] for a, b in pairs)


async def test_phase_1a_runs_to_its_end(tmp_path: Path) -> None:
    done = await run("run", "1a", "--model", "tiny-m", "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    (path,) = (tmp_path / "out" / "transcripts").iterdir()
    experiments = json.loads(path.read_text())["experiments"]
    assert [name for name, _ in experiments] == ["architecture", "activations", "conclusions"]


async def test_the_sandbox_is_named_in_the_manifest(tmp_path: Path) -> None:
    await run("run", "comparison", "--model", "tiny-s", "--out", "out", cwd=tmp_path)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["sandbox"]["tier"] in {"sealed+ns", "sealed", "contained-only"}
    assert manifest["arms"][0]["checkpoint_fingerprint"]


async def at_once(n_each: int, directory: Path) -> tuple[Counter[str | None], int]:
    """Run `n_each` investigations per model at once; return their ends, and the memory held."""
    options = Options(replicates=n_each, concurrency=n_each, display="none")
    study = plan_comparison(("comparison",), "", options)
    outcome = await conduct_study(study, directory, Drain())
    reasons = Counter(item.stop_reason for item in outcome.run.measures)
    del outcome
    gc.collect()
    return reasons, psutil.Process().memory_info().rss


async def test_two_hundred_at_once_all_end_and_leave_nothing(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    _, held_bytes = await at_once(20, tmp_path / "few")
    reasons, held_after_bytes = await at_once(100, tmp_path / "many")
    assert reasons.total() == 200
    assert None not in reasons
    assert not {"server_lost", "sandbox_lost", "fault"} & reasons.keys(), reasons
    assert asyncio.all_tasks() == before
    assert held_after_bytes - held_bytes < 50 * 2**20
