"""The files that are the project's own, in a git checkout and in an unpacked archive."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.tree import tracked

GIT = shutil.which("git") or "git"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small copy of the project, in which somebody has used it."""
    for name in ("README.md", "engine/run.py", ".ci/run", "phases/a/phase.toml"):
        _write(tmp_path / name)
    for name in ("own/phase.toml", "engine/__pycache__/run.pyc", ".venv/x.py", "runs/one/a.json"):
        _write(tmp_path / name)
    _write(tmp_path / ".gitignore", ".venv/\n__pycache__/\n")
    monkeypatch.setattr("scripts.tree.ROOT", tmp_path)
    return tmp_path


def _write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _make_checkout(folder: Path) -> None:
    subprocess.run([GIT, "init", "-q", str(folder)], check=True)


def _listed() -> set[str]:
    return {str(path) for path in tracked() if len(path.parts) > 1}


_OURS = {"engine/run.py", ".ci/run", "phases/a/phase.toml"}


def test_a_folder_of_the_users_own_is_none_of_the_projects(copy: Path) -> None:
    _make_checkout(copy)
    assert _listed() == _OURS


def test_an_unpacked_archive_lists_its_files_without_git(copy: Path) -> None:
    assert (copy / "own").is_dir()
    assert _listed() == _OURS


def test_an_archive_unpacked_where_another_checkout_ignores_it_lists_its_files(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make_checkout(copy)
    _write(copy / ".gitignore", "inner/\n")
    _write(copy / "inner" / "engine" / "run.py")
    monkeypatch.setattr("scripts.tree.ROOT", copy / "inner")
    assert _listed() == {"engine/run.py"}


def test_where_git_gives_no_answer_the_files_are_listed(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert _listed() == _OURS
