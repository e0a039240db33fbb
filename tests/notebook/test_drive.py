"""Snapshots of a run: whole, in order, and good to go on from."""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from engine.cli.notebook.drive import mounted, restore, save, snapshots
from engine.errors import UsageError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "one"
    (folder / "transcripts").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "events.jsonl").write_text('{"a": 1}\n{"b": 2}\n')
    (folder / "transcripts" / "x.json").write_text("[]")
    (folder / "index.sqlite").write_text("made again")
    return folder


def test_a_snapshot_ends_with_a_whole_line_of_the_journal(run: Path, tmp_path: Path) -> None:
    with (run / "events.jsonl").open("a") as file:
        file.write('{"torn": ' + "x" * 200_000)
    save(run, tmp_path / "drive")
    assert (tmp_path / "drive" / "events.jsonl").read_text() == '{"a": 1}\n{"b": 2}\n'


def test_what_is_made_again_at_will_is_left_out(run: Path, tmp_path: Path) -> None:
    save(run, tmp_path / "drive")
    kept = {str(path.relative_to(tmp_path / "drive")) for path in (tmp_path / "drive").rglob("*.*")}
    assert kept == {"manifest.json", "events.jsonl", "transcripts/x.json"}


def test_only_what_is_new_is_copied_again(run: Path, tmp_path: Path) -> None:
    save(run, tmp_path / "drive")
    kept = tmp_path / "drive" / "transcripts" / "x.json"
    before = kept.stat().st_ino
    (run / "events.jsonl").write_text('{"a": 1}\n{"b": 2}\n{"c": 3}\n')
    save(run, tmp_path / "drive")
    assert kept.stat().st_ino == before
    assert len((tmp_path / "drive" / "events.jsonl").read_text().splitlines()) == 3


def test_a_directory_without_a_manifest_is_no_run_yet(run: Path, tmp_path: Path) -> None:
    (run / "manifest.json").unlink()
    save(run, tmp_path / "drive")
    assert not (tmp_path / "drive").exists()


def test_a_run_comes_back_where_there_is_none(run: Path, tmp_path: Path) -> None:
    save(run, tmp_path / "drive")
    restore(tmp_path / "new" / "one", tmp_path / "drive")
    assert (tmp_path / "new" / "one" / "events.jsonl").read_text().count("\n") == 2


def test_a_run_that_is_here_is_not_replaced(run: Path, tmp_path: Path) -> None:
    save(run, tmp_path / "drive")
    with (run / "events.jsonl").open("a") as file:
        file.write("{}\n")
    restore(run, tmp_path / "drive")
    assert (run / "events.jsonl").read_text().count("\n") == 3


async def test_the_last_snapshot_is_made_when_the_block_is_interrupted(
    run: Path, tmp_path: Path
) -> None:
    with pytest.raises(asyncio.CancelledError):
        async with snapshots(run, tmp_path / "drive"):
            raise asyncio.CancelledError
    assert (tmp_path / "drive" / "manifest.json").exists()


async def test_a_drive_that_is_lost_stops_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "drive").write_text("no folder any more")
    async with snapshots(run, tmp_path / "drive" / "one"):
        pass
    assert "no snapshot on Drive" in capsys.readouterr().err


class SlowDrive:
    """A Drive whose first copy is under way until it is let go, and writes what it read before."""

    def __init__(self) -> None:
        self.has_begun, self.is_let_go = threading.Event(), threading.Event()
        self.drafts: list[str] = []
        self._copy = shutil.copy2

    def copy2(self, path: Path, draft: Path) -> None:
        self.drafts.append(draft.name)
        if self.has_begun.is_set():
            self._copy(path, draft)
            return
        before = path.read_bytes()
        self.has_begun.set()
        assert self.is_let_go.wait(30)
        draft.write_bytes(before)


@pytest.fixture
def slow_drive(monkeypatch: pytest.MonkeyPatch) -> SlowDrive:
    slow = SlowDrive()
    monkeypatch.setattr("engine.cli.notebook.drive._EVERY_S", 0.0)
    monkeypatch.setattr(shutil, "copy2", slow.copy2)
    return slow


async def test_the_last_snapshot_waits_for_one_that_is_being_copied(
    run: Path, tmp_path: Path, slow_drive: SlowDrive, capsys: pytest.CaptureFixture[str]
) -> None:
    async with snapshots(run, tmp_path / "drive"):
        assert await asyncio.to_thread(slow_drive.has_begun.wait, 30)
        with (run / "events.jsonl").open("a") as file:
            file.write('{"last": 3}\n')
        asyncio.get_running_loop().call_soon(slow_drive.is_let_go.set)
    await asyncio.get_running_loop().shutdown_default_executor()
    kept = (tmp_path / "drive" / "events.jsonl").read_text()
    assert kept == (run / "events.jsonl").read_text()
    assert "no snapshot" not in capsys.readouterr().err


def test_every_snapshot_writes_into_files_of_its_own(
    run: Path, tmp_path: Path, slow_drive: SlowDrive
) -> None:
    slow_drive.is_let_go.set()
    save(run, tmp_path / "drive")
    (run / "manifest.json").write_text('{"a": "change"}')
    save(run, tmp_path / "drive")
    drafts = [name for name in slow_drive.drafts if name.startswith("manifest.json")]
    assert len(set(drafts)) == 2


def test_a_copy_that_fails_leaves_nothing_unfinished_on_drive(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path, draft: Path) -> None:
        draft.write_text("torn")
        raise OSError("full")

    monkeypatch.setattr(shutil, "copy2", fail)
    with pytest.raises(OSError, match="full"):
        save(run, tmp_path / "drive")
    assert not list((tmp_path / "drive").rglob("*.part"))


def test_what_a_killed_copy_left_on_drive_is_not_brought_back(run: Path, tmp_path: Path) -> None:
    save(run, tmp_path / "drive")
    (tmp_path / "drive" / "events.jsonl.0123.part").write_text("torn")
    restore(tmp_path / "new" / "one", tmp_path / "drive")
    assert not list((tmp_path / "new").rglob("*.part"))


async def test_what_a_killed_copy_left_on_drive_is_taken_away_by_the_next_run(
    run: Path, tmp_path: Path
) -> None:
    save(run, tmp_path / "drive")
    (tmp_path / "drive" / "transcripts" / "x.json.0123.part").write_text("torn")
    async with snapshots(run, tmp_path / "drive"):
        pass
    assert not list((tmp_path / "drive").rglob("*.part"))


def test_outside_of_colab_a_drive_folder_is_refused_with_the_remedy(tmp_path: Path) -> None:
    assert mounted("") is None
    with pytest.raises(UsageError, match="Leave it empty"):
        mounted("phaselab", tmp_path)
