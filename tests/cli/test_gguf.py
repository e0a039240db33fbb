"""Real models without a GPU: GGUF files from a hub or the disk, and what is said of them."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from servers.embedded.model import EmbeddedModel, tiny_models
from tests.cli.program import run
from tests.hub import Hub, hub

pytestmark = pytest.mark.slow

PAIR = {"qwen2.5-1.5b": "Qwen/Qwen2.5-1.5B-Instruct", "qwen2.5-3b": "Qwen/Qwen2.5-3B-Instruct"}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Hub]:
    """A hub where the two official models are as small as the tiny ones."""
    with hub(tmp_path / "hub") as server:
        for repo, model in zip(PAIR.values(), tiny_models(), strict=True):
            add(server, repo, model)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        yield server


def add(server: Hub, repo: str, model: EmbeddedModel) -> None:
    name = f"{repo.rpartition('/')[2].lower()}-q4_k_m.gguf"
    server.add(f"{repo}-GGUF", name, model.gguf.read_bytes())
    for each in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        server.add(repo, each, (model.directory / each).read_bytes())


async def test_a_pair_is_fetched_served_and_compared(served: Hub, tmp_path: Path) -> None:
    done = await run("compare", "--models", ",".join(PAIR), "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "to be fetched first" in done.err
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["serving"] == "embedded"
    assert [arm["model"] for arm in manifest["arms"]] == list(PAIR)
    assert all(arm["checkpoint_fingerprint"] for arm in manifest["arms"]), "read from the hub"
    figures = [arm["facts"]["figures"] for arm in manifest["arms"]]
    assert [each["quantization"] for each in figures] == ["gguf 4-bit"] * 2, "as it is served"
    comparison = json.loads((tmp_path / "out" / "model_comparison.json").read_text())
    assert all(arm["code_blocks_executed"] > 0 for arm in comparison["models"].values())
    n_fetched = sum("GET" in line and line.endswith(".gguf") for line in served.asked)
    assert n_fetched == 2


async def test_a_dry_run_fetches_nothing_and_says_how_much_it_would_be(
    served: Hub, tmp_path: Path
) -> None:
    done = await run("run", "comparison", "--model", "qwen2.5-3b", "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "Qwen/Qwen2.5-3B-Instruct-GGUF, 2.1 GB to be fetched first" in done.err
    assert served.asked == []


@pytest.mark.usefixtures("served")
async def test_without_a_network_it_is_one_paragraph_and_exit_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = await run("run", "comparison", "--model", "qwen2.5-3b", "--out", "out", cwd=tmp_path)
    assert done.code == 3
    assert "Connect to a network and repeat the command, or name a local .gguf file" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


async def test_a_file_on_disk_is_served_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(tiny_models()[0].gguf.read_bytes())
    done = await run("serve", "--detach", "--models", "mine.gguf", "--json", cwd=tmp_path)
    stopped = await run("serve", "--stop", cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads(done.out)["mine"]["url"].startswith("http://127.0.0.1:")
    assert "every server has ended" in stopped.err
