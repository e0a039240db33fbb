import json
import shutil
from pathlib import Path

import pytest

from engine.errors import NotReadyError
from servers.embedded.model import load_model, tiny_models


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def test_the_window_is_that_of_the_configuration(checkpoint: Path) -> None:
    assert load_model("random", checkpoint).window_tokens == 512


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "model.safetensors", "model.gguf"]
)
def test_a_missing_file_is_named_with_its_remedy(name: str, copy: Path) -> None:
    (copy / name).unlink()
    with pytest.raises(NotReadyError, match=rf"{name}.*missing.*Remedy"):
        load_model("random", copy)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "model.gguf"])
def test_a_damaged_file_is_named_with_its_remedy(name: str, copy: Path) -> None:
    (copy / name).write_bytes(b"\0" * 100)
    with pytest.raises(NotReadyError, match=rf"{name}.*Remedy"):
        load_model("random", copy)


def test_a_configuration_without_a_window_is_refused(copy: Path) -> None:
    (copy / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    with pytest.raises(NotReadyError, match="max_position_embeddings is None"):
        load_model("random", copy)


def test_two_whole_models_ship_the_smaller_one_first() -> None:
    small, large = tiny_models()
    assert (small.key, large.key) == ("tiny-s", "tiny-m")
    assert small.gguf.stat().st_size < large.gguf.stat().st_size
