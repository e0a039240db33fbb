"""Checkpoints on a hub: a real server on loopback, and the program that reads them by ranges."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.introspection.checkpoint import is_same, open_checkpoint
from engine.introspection.hub import Place, parse_place
from engine.introspection.weights import Weights
from tests.introspection.hub import Hub, serving_hub

KEY = "hf_made_up_secret"
NAME = "model.embed_tokens.weight"
READ = """
import json, sys
from engine.cli.weights import open_weights
from engine.errors import NotReadyError
from engine.introspection.weights import Weights

try:
    found = open_weights(sys.argv[1])
except NotReadyError as error:
    print(json.dumps({"refused": str(error)}))
    sys.exit()
told = {"origin": found.origin, "fingerprint": found.fingerprint, "names": list(found.parameters),
        "why": found.why_no_values}
if len(sys.argv) > 2:
    try:
        told["statistics"] = Weights(found).get_weight_statistics(sys.argv[2])
    except OSError as error:
        told["failed"] = str(error)
print(json.dumps(told))
"""
WriteFile = Callable[[Path, Mapping[str, Any]], Path]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serving_hub(tmp_path) as served:
        yield served


def publish(hub: Hub, source: Path, repo: str = "own/tiny") -> str:
    shutil.copytree(source, hub.root / repo)
    return repo


def read(hub: Hub, *arguments: str, **more: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", READ, *arguments],
        capture_output=True,
        check=True,
        env={**hub.environment, **more},
        timeout=120,
    )
    assert KEY.encode() not in done.stdout + done.stderr
    assert b"signature" not in done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Qwen/Qwen2.5-3B", Place("Qwen/Qwen2.5-3B")),
        ("a_b/c.d-e@refs/pr/1", Place("a_b/c.d-e", "refs/pr/1")),
        ("own/tiny@main", Place("own/tiny", "main")),
        ("./own/tiny", None),
        ("/own/tiny", None),
        ("../tiny", None),
        ("own/tiny/more", None),
        ("own/tiny@", None),
        ("own/ti ny", None),
        ("öwn/tiny", None),
        ("tiny", None),
    ],
)
def test_a_repository_is_told_from_a_directory_by_its_form(text: str, place: Place | None) -> None:
    assert parse_place(text) == place
    assert place is None or str(place) == text


def test_what_is_read_by_ranges_is_what_a_copy_says(hub: Hub, checkpoint_dir: Path) -> None:
    repo, copy = publish(hub, checkpoint_dir), open_checkpoint(checkpoint_dir)
    found = read(hub, repo, NAME)
    assert found["statistics"] == Weights(copy).get_weight_statistics(NAME)
    assert found["names"] == list(copy.parameters)
    assert is_same(found["fingerprint"], copy.fingerprint)


def test_the_commit_is_settled_once_and_named(hub: Hub, checkpoint_dir: Path) -> None:
    repo = publish(hub, checkpoint_dir)
    origin = read(hub, repo, NAME)["origin"]
    sha = origin.partition("@")[2]
    assert len(sha) == 40
    asked = [each["path"] for each in hub.requests() if "/resolve/" in each["path"]]
    assert asked
    assert all(f"/resolve/{sha}/" in path for path in asked)
    assert read(hub, origin)["origin"] == origin


def test_a_token_goes_to_the_hub_and_nowhere_else(hub: Hub, checkpoint_dir: Path) -> None:
    repo = publish(hub, checkpoint_dir, "gated/tiny")
    found = read(hub, repo, NAME, HF_TOKEN=KEY)
    assert "statistics" in found
    by_place = {request["path"].split("/")[1]: request["key"] for request in hub.requests()}
    assert by_place == {"api": f"Bearer {KEY}", "gated": f"Bearer {KEY}", "data": None}


def test_headers_and_parts_of_values_are_all_that_is_fetched(
    hub: Hub, checkpoint_dir: Path, write_safetensors: WriteFile
) -> None:
    large = {f"part.{n}.weight": np.zeros((1024, 1024), np.float32) for n in range(8)}
    write_safetensors(checkpoint_dir / "model.safetensors", large)
    repo = publish(hub, checkpoint_dir)
    found = read(hub, repo, "part.2.weight")
    assert found["statistics"]["n_values"] == 1 << 20
    data = [r["range"] for r in hub.requests() if r["path"].startswith("/data/")]
    assert len(data) == len(set(data))
    parts = [each.removeprefix("bytes=").split("-") for each in data]
    sizes = [int(last) - int(first) + 1 for first, last in parts]
    assert max(sizes) <= 8 << 20
    assert sum(sizes) < 12 << 20  # of 32 MiB: samples for the fingerprint, one tensor read on


def test_a_repository_in_shards_is_read_from_each(
    hub: Hub, tmp_path: Path, arrays: dict[str, Any], write_safetensors: WriteFile
) -> None:
    root = tmp_path / "shards"
    root.mkdir()
    shard_of = {name: f"part-{place % 3}.safetensors" for place, name in enumerate(arrays)}
    for shard in set(shard_of.values()):
        part = {name: array for name, array in arrays.items() if shard_of[name] == shard}
        write_safetensors(root / shard, part)
    (root / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shard_of}))
    (root / "config.json").write_text("{}")
    name = "model.layers.2.mlp.up_proj.weight"
    found = read(hub, publish(hub, root), name)
    assert found["statistics"]["mean"] == pytest.approx(float(arrays[name].mean()), rel=1e-4)


def test_a_hub_that_is_busy_is_asked_again(hub: Hub, checkpoint_dir: Path) -> None:
    assert "statistics" in read(hub, publish(hub, checkpoint_dir, "busy/tiny"), NAME)


@pytest.mark.parametrize(
    ("owner", "why"),
    [("whole", "the server does not send parts of files"), ("short", "bytes came, not")],
)
def test_a_server_that_does_not_send_the_range_is_not_believed(
    hub: Hub, checkpoint_dir: Path, write_safetensors: WriteFile, owner: str, why: str
) -> None:
    large = {NAME: np.zeros((1024, 512), np.float32)}
    write_safetensors(checkpoint_dir / "model.safetensors", large)
    refused = read(hub, publish(hub, checkpoint_dir, f"{owner}/tiny"))["refused"]
    assert why in refused
    assert f"{owner}/tiny@" in refused


@pytest.mark.parametrize(
    ("named", "environment", "why"),
    [
        ("own/absent", {}, "there is no such repository, or it is private: set HF_TOKEN"),
        ("own/tiny@v2", {}, "it has no such revision"),
        ("gated/tiny", {}, "it is gated: accept its licence on its page, and set HF_TOKEN"),
        ("own/tiny", {"HF_HUB_OFFLINE": "1"}, "the hub is switched off here (HF_HUB_OFFLINE)"),
        ("own/tiny", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "the hub cannot be reached"),
        ("nowhere", {}, "There is no checkpoint directory nowhere."),
    ],
)
def test_trouble_with_the_hub_is_said_plainly(
    hub: Hub, checkpoint_dir: Path, named: str, environment: dict[str, str], why: str
) -> None:
    publish(hub, checkpoint_dir)
    publish(hub, checkpoint_dir, "gated/tiny")
    refused = read(hub, named, **environment)["refused"]
    assert why in refused
    assert "--checkpoint" in refused


def test_a_repository_without_weights_gives_its_configuration(
    hub: Hub, checkpoint_dir: Path
) -> None:
    (checkpoint_dir / "model.safetensors").unlink()
    found = read(hub, publish(hub, checkpoint_dir))
    assert "model.layers.0.mlp.down_proj.weight" in found["names"]
    assert found["why"].startswith("there is no safetensors file in own/tiny@")


def test_a_copy_in_the_cache_is_read_without_a_hub(hub: Hub, checkpoint_dir: Path) -> None:
    kept = Path(hub.environment["HF_HOME"]) / "hub" / "models--own--tiny"
    shutil.copytree(checkpoint_dir, kept / "snapshots" / "abc")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc")
    for named in ("own/tiny", "own/tiny@abc"):
        found = read(hub, named, NAME, HF_HUB_OFFLINE="1")
        assert found["origin"] == "own/tiny@abc"
    assert not hub.requests()
