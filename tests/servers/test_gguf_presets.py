import shutil
from pathlib import Path

import pytest

from engine.errors import UsageError
from servers.embedded.model import tiny_models
from servers.model import Method
from servers.presets import resolve
from tests.servers.ggufs import SHAPE, nested, write_header


def _copied(directory: Path, *names: str) -> None:
    for name in names:
        shutil.copy(tiny_models()[0].gguf, directory / name)


def test_largest_layer_counts_where_each_has_a_number_of_its_own(tmp_path: Path) -> None:
    heads: list[int] = [2, 4, 0] * 10
    fields = {**SHAPE, "deci.attention.head_count_kv": heads}
    shape = resolve(str(write_header(tmp_path / "m.gguf", fields))).architecture
    assert shape.n_kv_heads == 4


def test_vocabulary_is_as_large_as_the_list_of_words_is_long(tmp_path: Path) -> None:
    assert resolve(str(write_header(tmp_path / "m.gguf", SHAPE))).architecture.vocab == 100


def test_list_that_is_too_long_for_layers_is_no_number(tmp_path: Path) -> None:
    fields = {**SHAPE, "deci.attention.head_count_kv": [4] * 5000}
    with pytest.raises(UsageError, match="does not say its shape"):
        resolve(str(write_header(tmp_path / "m.gguf", fields)))


def test_lists_without_an_end_to_their_depth_are_damage(tmp_path: Path) -> None:
    file = write_header(tmp_path / "m.gguf", {**SHAPE, "deep": nested(3000)})
    with pytest.raises(UsageError, match=r"m\.gguf.*damaged"):
        resolve(str(file))


def test_file_that_sees_for_a_model_is_not_the_model(tmp_path: Path) -> None:
    _copied(tmp_path, "a-mmproj-f16.gguf", "b.gguf")
    assert resolve(str(tmp_path)).repo == str(tmp_path / "b.gguf")


def test_directory_with_several_models_lists_them(tmp_path: Path) -> None:
    _copied(tmp_path, "m-q4.gguf", "m-q8.gguf")
    with pytest.raises(UsageError, match=r"m-q4\.gguf, m-q8\.gguf.*by its path"):
        resolve(str(tmp_path))


def test_parts_of_one_model_are_one(tmp_path: Path) -> None:
    _copied(tmp_path, "m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    assert resolve(str(tmp_path)).repo == str(tmp_path / "m-00001-of-00002.gguf")


def test_several_models_beside_a_checkpoint_are_left_out_and_noted(tmp_path: Path) -> None:
    directory = tmp_path / "m"
    shutil.copytree(tiny_models()[0].directory, directory)
    _copied(directory, "m-q4.gguf", "m-q8.gguf")
    preset = resolve(str(directory))
    assert [one.method for one in preset.variants] == [Method.PLAIN, Method.ONLINE_FP8]
    assert "m-q4.gguf, m-q8.gguf" in preset.notes[0]
