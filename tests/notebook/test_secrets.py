"""Keys of a notebook: where they are looked for, and that nothing waits for ever."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli.notebook import read_secrets
from engine.settings import read_key

STUB = Path(__file__).parent / "stub"


@pytest.fixture
def colab(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in of_google():
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(STUB))
    yield
    for name in of_google():
        del sys.modules[name]


def of_google() -> list[str]:
    """Modules that are loaded of a package that others put theirs into as well."""
    return [name for name in sys.modules if name.partition(".")[0] == "google"]


@pytest.mark.usefixtures("colab")
def test_colabs_secrets_are_offered_to_this_process_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    read_secrets(["HF_TOKEN"])
    assert read_key("HF_TOKEN") == "hf_made-up-0123"
    assert capsys.readouterr().err == "HF_TOKEN: from Colab's secrets\n"


@pytest.mark.usefixtures("colab")
def test_the_environment_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "mine")
    read_secrets(["HF_TOKEN"])
    assert read_key("HF_TOKEN") == "mine"
    assert "from the environment" in capsys.readouterr().err


@pytest.mark.usefixtures("colab")
def test_a_window_that_nobody_answers_is_not_waited_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    read_secrets(["UNANSWERED"], within_s=0.2)
    assert "no answer within 0.2 s" in capsys.readouterr().err


def test_outside_of_colab_a_missing_key_is_said_and_no_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    read_secrets(["ABSENT_KEY"], within_s=5)
    assert "ABSENT_KEY: not there (ModuleNotFoundError)" in capsys.readouterr().err
