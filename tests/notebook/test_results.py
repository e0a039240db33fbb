"""What the notebook shows and packs: what is recorded of the choice, finished or not."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from engine.cli.notebook import Choice, choose, download, show_report, summary
from engine.cli.notebook.drive import save
from engine.report.page.page import NAME as PAGE
from tests.report.making import Said, make_run


@pytest.fixture
def choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Choice:
    monkeypatch.setattr("engine.cli.notebook.choosing.has_server", lambda: False)
    return choose(work_dir=tmp_path)


@pytest.fixture
def unfinished(choice: Choice) -> Choice:
    """A choice whose run was killed: its journal and no result."""
    make_run(choice.run_dir, lambda _: [Said()], models=choice.models, ends=lambda _: None)
    return choice


@pytest.mark.parametrize("cell", [summary, show_report, download])
def test_where_nothing_is_recorded_that_is_said(
    cell: object, choice: Choice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(cell)
    cell(choice)
    said = capsys.readouterr().err
    assert f"nothing is recorded in {choice.run_dir} yet: run cell 6" in said.replace("\n", " ")


def test_the_summary_shows_the_recorded_part_of_a_killed_run(
    unfinished: Choice, capsys: pytest.CaptureFixture[str]
) -> None:
    summary(unfinished)
    assert "3 unfinished" in capsys.readouterr().out


def test_the_report_shows_the_recorded_part_of_a_killed_run(
    unfinished: Choice, capsys: pytest.CaptureFixture[str]
) -> None:
    show_report(unfinished)
    assert (unfinished.run_dir / PAGE).exists()
    assert "IPython.core.display.HTML" in capsys.readouterr().out


@pytest.mark.usefixtures("capsys")
def test_a_report_that_is_older_than_the_journal_is_written_anew(unfinished: Choice) -> None:
    page = unfinished.run_dir / PAGE
    page.write_text("of before")
    os.utime(page, (1.0, 1.0))
    show_report(unfinished)
    assert page.read_text() != "of before"


def test_the_recorded_part_of_a_killed_run_is_packed(unfinished: Choice) -> None:
    download(unfinished)
    with zipfile.ZipFile(unfinished.run_dir.with_name(f"{unfinished.run_dir.name}.zip")) as packed:
        assert f"{unfinished.run_dir.name}/events.jsonl" in packed.namelist()


def test_a_run_that_is_on_drive_only_is_shown(
    unfinished: Choice, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = replace(unfinished, drive_dir=tmp_path / "drive")
    assert kept.snapshot_dir is not None
    save(kept.run_dir, kept.snapshot_dir)
    kept.run_dir.rename(tmp_path / "lost")
    summary(kept)
    assert "3 unfinished" in capsys.readouterr().out
