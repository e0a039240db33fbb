"""The main job on vLLM servers that the program plans and starts; vLLM's stand-in serves."""

import json
import sys
from pathlib import Path

import pytest

from engine.cli.planning import Wanted
from engine.cli.serving.launched import launched
from engine.cli.weights import snapshot
from engine.introspection.hub import Place
from engine.settings import Settings, child_environment
from servers.embedded.model import tiny_models
from servers.hardware import PROFILES
from tests.cli.program import ROOT, run, weights_of

pytestmark = pytest.mark.slow


@pytest.fixture
def vllm(tmp_path: Path) -> Path:
    path = tmp_path / "bin" / "vllm"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m servers.fake_vllm "$@"\n')
    path.chmod(0o755)
    return path


async def test_the_pair_is_planned_started_compared_and_ended(vllm: Path, tmp_path: Path) -> None:
    flags = ("--hardware", "colab_free_t4", "--vllm", vllm, "--out", "out")
    done = await run(*flags, *weights_of("qwen2.5-3b", "qwen2.5-7b"), cwd=tmp_path)
    assert done.code == 0, done.err
    assert "|  | qwen2.5-3b | qwen2.5-7b |" in done.out, "arms stand in the order asked for"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["serving"] == "vllm"
    logs = {path.name for path in (tmp_path / "out" / "servers").iterdir()}
    assert logs == {"qwen2.5-3b.log", "qwen2.5-7b.log"}


async def test_models_that_do_not_fit_are_refused_with_what_would(
    vllm: Path, tmp_path: Path
) -> None:
    flags = ("--models", "qwen2.5-14b,mistral-7b", "--quantization", "fp16", "--vllm", vllm)
    done = await run("compare", *flags, "--hardware", "colab_free_t4", cwd=tmp_path)
    assert done.code == 3, done.err
    assert "What would fit" in done.err


def test_fetched_weights_are_found_where_the_hub_keeps_them(tmp_path: Path) -> None:
    folder = tmp_path / "models--Qwen--Qwen2.5-3B-Instruct"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    assert snapshot(Settings(hub_cache=tmp_path), Place("Qwen/Qwen2.5-3B-Instruct")) is None
    (folder / "snapshots" / "abc" / "config.json").write_text("{}")
    found = snapshot(Settings(hub_cache=tmp_path), Place("Qwen/Qwen2.5-3B-Instruct"))
    assert found == folder / "snapshots" / "abc"


async def test_weights_of_a_directory_are_told_as_they_are_turned_into_while_they_load(
    vllm: Path, tmp_path: Path
) -> None:
    weights = tiny_models()[0].directory
    wanted = Wanted(models=str(weights), hardware="l4_ada", quantization="8bit")
    serving = launched(wanted, PROFILES["l4_ada"], vllm, child_environment())
    async with serving.open(tmp_path) as (endpoint,):
        assert endpoint.checkpoint == str(weights)
        assert endpoint.quantization == "online-fp8 8-bit"
