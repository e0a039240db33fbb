"""Files that are replaced: all or none, and nothing of anybody else's on the way."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from engine.cli.report import write_out
from engine.errors import RunError
from engine.manifest import write_atomically
from engine.report.exports.writing import whole_file
from engine.report.replacing import replacing
from engine.report.run import read_run
from tests.report.making import Said, make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", lambda _: [Said()], replicates=1)


def test_the_files_of_a_run_stay_as_they_were_where_the_last_cannot_be_written(run: Path) -> None:
    (run / "report.html").mkdir()
    (run / "summary.json").write_text("old")
    with pytest.raises(RunError, match=r"report\.html: .*files in the run directory are as they"):
        write_out(read_run(run))
    assert (run / "summary.json").read_text() == "old"
    assert not list((run / "transcripts").iterdir())
    assert not list(run.rglob("*.part"))


def test_nothing_takes_its_place_where_one_file_is_not_on_the_disk(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "a").write_bytes(b"old")

    def fill() -> None:
        with replacing() as files:
            files.add(tmp_path / "a", b"new")
            files.add(folder / "b", b"new")
            shutil.rmtree(folder)

    with pytest.raises(RunError, match=r"b: .*files in the run directory are as they were"):
        fill()
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_name_that_is_too_long_for_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fill() -> None:
        with replacing() as files:
            files.add(tmp_path / "a", b"new")
            files.add(tmp_path / ("n" * 300), b"new")

    with pytest.raises(RunError, match=r"File name too long.*as they were"):
        fill()
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_file_that_fails_after_others_took_their_places_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def failing(part: Path, target: Path) -> Path:
        if target.name == "b":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(part, target)

    def fill() -> None:
        with replacing() as files:
            files.add(tmp_path / "a", b"new")
            files.add(tmp_path / "b", b"new")
            monkeypatch.setattr(Path, "replace", failing)

    with pytest.raises(RunError, match=r"b: .*Of 2 files of the run directory 1 are new"):
        fill()
    assert (tmp_path / "a").read_bytes() == b"new"


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    with whole_file(path) as one:
        one.write(b"A" * 20_000)
        with whole_file(path) as other:
            other.write(b"B" * 9_000)
        one.write(b"A" * 20_000)
    assert path.read_bytes() == b"A" * 40_000


def test_a_file_of_the_user_that_is_called_part_stays(tmp_path: Path) -> None:
    mine = tmp_path / "x.part"
    mine.write_text("mine")
    write_atomically(tmp_path / "x", b"1")
    with whole_file(tmp_path / "x") as file:
        file.write(b"2")
    assert mine.read_text() == "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x", "x.part"]


def test_a_file_that_cannot_take_its_place_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(RunError, match="x: cannot be written"):
        write_atomically(tmp_path / "x", b"1")
    assert [each.name for each in tmp_path.iterdir()] == ["x"]
