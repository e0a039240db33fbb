"""Form fields of the notebook: what is wrong is named, with the remedy."""

from pathlib import Path

import pytest

from engine.cli.notebook import Choice, choose
from engine.errors import UsageError
from servers.embedded.model import directory_of


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("deadline", "tomorrow", "DEADLINE: 'tomorrow' is no duration; write it as 11h30m"),
        ("replicates", 0, "REPLICATES is 0"),
        ("phase_script", "phase1b_early.py", "Did you mean phase1b_early_heritage.py"),
        ("quantization", "5bit", "QUANTIZATION is '5bit'"),
    ],
)
def test_a_field_that_is_wrong_is_named(
    field: str, value: str | int, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        choose(**{field: value}, work_dir=tmp_path)  # pyright: ignore[reportArgumentType] - one field
    assert words in str(caught.value)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where vLLM can be started."""
    monkeypatch.setattr("engine.cli.notebook.choosing.has_server", lambda: True)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.cli.notebook.choosing.has_server", lambda: False)


def _of_1a(name: str, folder: Path) -> Choice:
    return choose(model_name=name, phase_script="phase1a_no_heritage.py", work_dir=folder)


@pytest.mark.usefixtures("gpu")
def test_a_hub_id_of_a_preset_is_that_preset(tmp_path: Path) -> None:
    assert _of_1a("Qwen/Qwen2.5-3B-Instruct", tmp_path).models == ("qwen2.5-3b",)


@pytest.mark.usefixtures("gpu")
def test_a_model_that_ships_is_taken_by_its_name(tmp_path: Path) -> None:
    assert _of_1a("tiny-s", tmp_path).models == ("tiny-s",)


@pytest.mark.usefixtures("gpu")
def test_a_directory_with_a_checkpoint_is_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").symlink_to(directory_of("tiny-s"))
    monkeypatch.chdir(tmp_path)
    assert _of_1a("./mine", tmp_path).models == (str(directory_of("tiny-s")),)


@pytest.mark.usefixtures("gpu")
def test_a_run_is_named_after_the_file_of_its_model_and_lies_with_the_others(
    tmp_path: Path,
) -> None:
    choice = _of_1a(str(directory_of("tiny-s") / "model.gguf"), tmp_path)
    assert choice.run_dir.name.startswith("1a-model-")
    assert choice.run_dir.parent == tmp_path / "runs"


@pytest.mark.usefixtures("gpu")
def test_a_model_that_is_nowhere_is_refused_in_the_words_of_the_command_line(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="Besides these: a hub id"):
        _of_1a("mine", tmp_path)


@pytest.mark.usefixtures("no_gpu")
def test_what_needs_no_vllm_is_taken_without_a_gpu(tmp_path: Path) -> None:
    file = directory_of("tiny-s") / "model.gguf"
    assert _of_1a(str(file), tmp_path).models == (str(file),)
    assert _of_1a("tiny-s", tmp_path).models == ("tiny-s",)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_a_model_that_ships_takes_the_place_of_others(tmp_path: Path) -> None:
    assert _of_1a("Qwen/Qwen2.5-3B-Instruct", tmp_path).models == ("tiny-m",)
