"""`report`: what is said while a long journal is read."""

from pathlib import Path

import pytest

from engine.cli import report
from tests.report.making import Said, make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", lambda _: [Said()], replicates=1)


def test_a_large_run_says_that_it_takes_a_while(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "_LARGE_BYTES", 100)
    report.read(run)
    assert "MB of events" in capsys.readouterr().err


def test_a_small_run_is_read_without_a_word(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.read(run)
    assert capsys.readouterr().err == ""
