import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors.numpy

from engine.errors import NotReadyError
from engine.introspection.checkpoint import is_same, open_checkpoint

Array = npt.NDArray[np.generic]
WriteFile = Callable[[Path, Mapping[str, Any]], Path]
Write = Callable[[Mapping[str, Any], Mapping[str, object]], Path]


def values(path: Path, name: str) -> npt.NDArray[np.float32]:
    return np.concatenate(list(open_checkpoint(path).blocks(name)))


def test_reads_what_safetensors_itself_wrote(tmp_path: Path, arrays: dict[str, Array]) -> None:
    safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    for name, array in arrays.items():
        assert np.array_equal(values(tmp_path, name), array.reshape(-1))


def test_sharded_checkpoint_reads_each_tensor_from_its_shard(
    tmp_path: Path, arrays: dict[str, Array], write_safetensors: WriteFile
) -> None:
    shard_of = {name: f"part-{place % 2}.safetensors" for place, name in enumerate(arrays)}
    for shard in set(shard_of.values()):
        part = {name: array for name, array in arrays.items() if shard_of[name] == shard}
        write_safetensors(tmp_path / shard, part)
    index = {"weight_map": shard_of}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "config.json").write_text("{}")
    name = "model.layers.1.mlp.down_proj.weight"
    assert np.array_equal(values(tmp_path, name), arrays[name].reshape(-1))
    assert set(arrays) <= set(open_checkpoint(tmp_path).parameters)


def test_parameters_come_in_the_order_of_the_model(checkpoint_dir: Path) -> None:
    names = list(open_checkpoint(checkpoint_dir).parameters)
    assert names[0] == "model.embed_tokens.weight"
    assert names[1].startswith("model.layers.0.self_attn.q_proj")
    assert names[-2:] == ["model.norm.weight", "lm_head.weight"]


def test_tied_head_shares_the_values_of_the_embedding(checkpoint_dir: Path) -> None:
    checkpoint = open_checkpoint(checkpoint_dir)
    assert checkpoint.parameters["lm_head.weight"].shared_with == "model.embed_tokens.weight"
    stored = [each for each in checkpoint.parameters.values() if not each.shared_with]
    assert checkpoint.n_values == sum(each.n_values for each in stored)


def test_a_stored_head_of_a_model_that_is_said_to_be_tied_counts_once(
    write_checkpoint: Write, arrays: dict[str, Array]
) -> None:
    head = {"lm_head.weight": arrays["model.embed_tokens.weight"]}
    found = open_checkpoint(write_checkpoint(arrays | head, {"tie_word_embeddings": True}))
    assert found.parameters["lm_head.weight"].shared_with == "model.embed_tokens.weight"
    assert found.n_values == sum(each.size for each in arrays.values())


def test_a_stored_head_of_which_nothing_is_said_is_a_parameter_of_its_own(
    write_checkpoint: Write, arrays: dict[str, Array], config: dict[str, object]
) -> None:
    del config["tie_word_embeddings"]
    head = {"lm_head.weight": arrays["model.embed_tokens.weight"]}
    found = open_checkpoint(write_checkpoint(arrays | head, {}))
    assert found.parameters["lm_head.weight"].shared_with is None


def test_a_head_below_the_top_gets_no_second_one(write_checkpoint: Write) -> None:
    names = ["language_model.model.embed_tokens.weight", "language_model.lm_head.weight"]
    root = write_checkpoint({name: np.ones((2, 2), np.float32) for name in names}, {})
    assert sorted(open_checkpoint(root).parameters) == sorted(names)


@pytest.mark.parametrize(
    ("embedding", "head"),
    [
        ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight"),
        ("model.language_model.embed_tokens.weight", "lm_head.weight"),
        ("transformer.wte.weight", "lm_head.weight"),
    ],
)
def test_a_tied_head_lies_beside_the_body(
    write_checkpoint: Write, embedding: str, head: str
) -> None:
    root = write_checkpoint({embedding: np.ones((2, 2), np.float32)}, {})
    assert open_checkpoint(root).parameters[head].shared_with == embedding


def test_rotary_frequencies_are_no_parameter(
    write_checkpoint: Write, arrays: dict[str, Array]
) -> None:
    stored = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(4, np.float32)}
    found = open_checkpoint(write_checkpoint(arrays | stored, {}))
    assert set(found.parameters) == {*arrays, "lm_head.weight"}


def test_untied_head_is_a_parameter_of_its_own(write_checkpoint: Write) -> None:
    weights = {name: np.ones((2, 2), np.float32) for name in ("a.embed_tokens.weight", "b.weight")}
    root = write_checkpoint(weights, {"tie_word_embeddings": False})
    assert list(open_checkpoint(root).parameters) == list(weights)


def test_bfloat16_values_are_exact(write_checkpoint: Write) -> None:
    exact = np.array([[1.0, -0.5], [3.140625, 1e30]], np.float32)
    exact = (exact.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    half = (exact.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    root = write_checkpoint({"a.weight": ("BF16", half)}, {})
    assert np.array_equal(values(root, "a.weight"), exact.reshape(-1))
    assert open_checkpoint(root).parameters["a.weight"].dtype == "bfloat16"


@pytest.mark.parametrize(
    ("kind", "code", "value"),
    [
        ("F8_E4M3", 0x7E, 448.0),
        ("F8_E4M3", 0x01, 2.0**-9),
        ("F8_E4M3", 0xB8, -1.0),
        ("F8_E5M2", 0x7B, 57344.0),
        ("F8_E5M2", 0x01, 2.0**-16),
        ("F8_E5M2", 0xFC, -np.inf),
    ],
)
def test_float8_codes_have_their_values(
    write_checkpoint: Write, kind: str, code: int, value: float
) -> None:
    root = write_checkpoint({"a.bias": (kind, np.array([code], np.uint8))}, {})
    assert values(root, "a.bias")[0] == value


def test_fingerprint_changes_with_the_configuration(checkpoint_dir: Path) -> None:
    before = open_checkpoint(checkpoint_dir).fingerprint
    assert open_checkpoint(checkpoint_dir).fingerprint == before
    config = json.loads((checkpoint_dir / "config.json").read_text())
    (checkpoint_dir / "config.json").write_text(json.dumps({**config, "rope_theta": 1}))
    assert open_checkpoint(checkpoint_dir).fingerprint != before


def test_fingerprint_changes_with_one_tensor_in_the_middle(
    tmp_path: Path, write_safetensors: WriteFile
) -> None:
    (tmp_path / "config.json").write_text("{}")
    large = {f"part.{place}.weight": np.ones((512, 512), np.float32) for place in range(9)}
    write_safetensors(tmp_path / "model.safetensors", large)
    before = open_checkpoint(tmp_path).fingerprint
    write_safetensors(
        tmp_path / "model.safetensors", {**large, "part.2.weight": large["part.1.weight"] * 2}
    )
    assert not is_same(open_checkpoint(tmp_path).fingerprint, before)


def test_a_fingerprint_without_tensors_is_that_of_the_same_files(checkpoint_dir: Path) -> None:
    found = open_checkpoint(checkpoint_dir).fingerprint
    assert is_same(found.partition(":")[0], found)


def test_tensors_that_are_too_many_are_read_in_part(
    write_checkpoint: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_checkpoint({f"{n}": np.ones(2, np.float32) for n in range(3_000)}, {})
    firsts: list[int] = []
    fromfile = np.fromfile

    def counted(path: Path, dtype: type[np.uint8], *, count: int, offset: int) -> Array:
        firsts.append(offset)
        return fromfile(path, dtype, count=count, offset=offset)

    monkeypatch.setattr(np, "fromfile", counted)
    open_checkpoint(root)
    assert len(firsts) < 530


def truncate(root: Path) -> str:
    path = root / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    return "model.safetensors"


def cut_header(root: Path) -> str:
    (root / "model.safetensors").write_bytes(b"\x10\x00")
    return "model.safetensors"


def spoil_header(root: Path) -> str:
    path = root / "model.safetensors"
    path.write_bytes(path.read_bytes()[:8] + b"\xff" + path.read_bytes()[9:])
    return "model.safetensors"


def spoil_config(root: Path) -> str:
    (root / "config.json").write_text("{not json")
    return "config.json"


def listless_config(root: Path) -> str:
    (root / "config.json").write_text("[]")
    return "config.json"


def nest_config(root: Path) -> str:
    (root / "config.json").write_text('{"a":' + "[" * 5000 + "]" * 5000 + "}")
    return root.name


def nest_header(root: Path) -> str:
    header = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    (root / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    return root.name


def drop_config(root: Path) -> str:
    (root / "config.json").unlink()
    return "config.json"


def promise_a_tensor(root: Path) -> str:
    index = {"weight_map": {"model.absent.weight": "model.safetensors"}}
    (root / "model.safetensors.index.json").write_text(json.dumps(index))
    return "model.absent.weight"


def promise_a_shard(root: Path) -> str:
    index = {"weight_map": {"model.norm.weight": "model-00002.safetensors"}}
    (root / "model.safetensors.index.json").write_text(json.dumps(index))
    return "model-00002.safetensors"


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        cut_header,
        spoil_header,
        spoil_config,
        listless_config,
        nest_config,
        nest_header,
        drop_config,
        promise_a_tensor,
        promise_a_shard,
    ],
)
def test_damage_is_named_with_its_remedy(
    checkpoint_dir: Path, damage: Callable[[Path], str]
) -> None:
    culprit = damage(checkpoint_dir)
    with pytest.raises(NotReadyError, match="--checkpoint") as refusal:
        open_checkpoint(checkpoint_dir)
    assert culprit in str(refusal.value)


LOOK = """
import os, sys
from engine.cli.weights import open_weights
from engine.errors import NotReadyError
if os.geteuid() == 0:
    os.seteuid(65534)
try:
    open_weights(sys.argv[1])
except NotReadyError as error:
    print(error)
"""
"""Opens weights as a user that walls of permissions hold for."""


def test_a_directory_behind_a_closed_one_is_refused_with_the_remedy(checkpoint_dir: Path) -> None:
    checkpoint_dir.parent.chmod(0)
    argv = [sys.executable, "-c", LOOK, str(checkpoint_dir)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=50)
    checkpoint_dir.parent.chmod(0o700)
    assert f"{checkpoint_dir}: Permission denied" in done.stdout, done.stderr
    assert "--checkpoint" in done.stdout


def test_a_directory_with_a_name_that_is_none_is_refused_with_the_remedy() -> None:
    with pytest.raises(NotReadyError, match=r"File name too long.*--checkpoint"):
        open_checkpoint("d" * 300)


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="nowhere"):
        open_checkpoint(tmp_path / "nowhere")


def test_without_weights_the_configuration_tells_names_and_shapes(checkpoint_dir: Path) -> None:
    (checkpoint_dir / "model.safetensors").unlink()
    found = open_checkpoint(checkpoint_dir)
    assert found.why_no_values == f"there is no safetensors file in {checkpoint_dir}"
    assert found.parameters["lm_head.weight"].shared_with == "model.embed_tokens.weight"
    with pytest.raises(NotReadyError, match="only the configuration"):
        next(found.blocks("model.norm.weight"))


def test_a_configuration_of_an_unknown_family_tells_no_names(checkpoint_dir: Path) -> None:
    (checkpoint_dir / "model.safetensors").unlink()
    (checkpoint_dir / "config.json").write_text('{"model_type": "mamba9"}')
    found = open_checkpoint(checkpoint_dir)
    assert not found.parameters
    assert found.why_no_values


def test_a_file_without_tensors_leaves_what_the_configuration_tells(
    write_checkpoint: Write,
) -> None:
    found = open_checkpoint(write_checkpoint({}, {}))
    assert found.why_no_values.startswith("there is no tensor in model.safetensors")
    assert "model.norm.weight" in found.parameters


def test_a_type_that_is_not_known_leaves_what_the_configuration_tells(
    write_checkpoint: Write,
) -> None:
    scale = ("F8_E8M0", np.zeros(1, np.uint8))
    found = open_checkpoint(write_checkpoint({"model.norm.weight_scale": scale}, {}))
    assert "data type 'F8_E8M0'" in found.why_no_values
    assert "model.norm.weight" in found.parameters
