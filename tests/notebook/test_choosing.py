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
        (
            "checkpoint",
            "absent",
            "CHECKPOINT is 'absent', which is no directory, and no OWNER/NAME",
        ),
        ("checkpoint", "c" * 300, "which cannot be looked at (File name too long)"),
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


def _with_weights(text: str, folder: Path) -> Choice:
    return choose(
        model_name=str(directory_of("tiny-s") / "model.gguf"),
        phase_script="phase1a_no_heritage.py",
        checkpoint=text,
        work_dir=folder,
    )


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


@pytest.mark.usefixtures("gpu")
def test_a_model_is_called_as_in_its_run_where_a_link_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").symlink_to(directory_of("tiny-s") / "model.gguf")
    assert _of_1a(str(tmp_path / "mine.gguf"), tmp_path).arms == ("model",)


@pytest.mark.parametrize("text", ["OWNER/NAME@main", "model=OWNER/NAME@main"])
def test_weights_on_the_hub_are_those_of_the_model(text: str, tmp_path: Path) -> None:
    assert _with_weights(text, tmp_path).weights == ("model=OWNER/NAME@main",)


def test_weights_in_a_directory_are_named_by_their_full_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    assert _with_weights("weights", tmp_path).weights == (f"model={tmp_path / 'weights'}",)


def test_a_run_with_other_weights_is_another_run(tmp_path: Path) -> None:
    choices = [_with_weights(text, tmp_path) for text in ("", "OWNER/ONE", "OWNER/TWO")]
    assert len({choice.run_dir for choice in choices}) == 3


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("script", ["phase1a_no_heritage.py", "phase1_model_comparison.py"])
def test_no_other_model_is_taken_for_the_one_whose_weights_are_named(
    script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choice = choose(phase_script=script, checkpoint="OWNER/NAME", work_dir=tmp_path)
    assert choice.weights == ()
    assert "CHECKPOINT is left out" in capsys.readouterr().err


@pytest.mark.usefixtures("no_gpu")
def test_what_needs_no_vllm_is_taken_without_a_gpu(tmp_path: Path) -> None:
    file = directory_of("tiny-s") / "model.gguf"
    assert _of_1a(str(file), tmp_path).models == (str(file),)
    assert _of_1a("tiny-s", tmp_path).models == ("tiny-s",)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_a_model_that_ships_takes_the_place_of_others(tmp_path: Path) -> None:
    assert _of_1a("Qwen/Qwen2.5-3B-Instruct", tmp_path).models == ("tiny-m",)
