"""The directory of a run: whose it is, and what is left of a run that never began."""

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from fcntl import flock
from pathlib import Path

import pytest

from engine.cli.directory import default_directory, new_directory
from engine.errors import UsageError
from tests.cli.program import endpoint, run, two_arms


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_starts_at_the_same_time_have_directories_of_their_own() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(default_directory, ["1a"] * 40))
    assert len(set(made)) == 40
    assert all(path.is_dir() for path in made)


def test_a_default_directory_that_cannot_be_made_is_refused_with_the_remedy(here: Path) -> None:
    (here / "runs").write_text("a file")
    with pytest.raises(UsageError, match=r"--out runs/.*Name another"):
        default_directory("1a")


def test_nothing_is_left_of_a_default_directory_whose_run_never_began(here: Path) -> None:
    with new_directory(default_directory("1a")):
        pass
    assert not list(here.iterdir())


def test_a_link_in_the_place_of_runs_stays(here: Path) -> None:
    (here / "elsewhere").mkdir()
    (here / "runs").symlink_to("elsewhere")
    with new_directory(default_directory("1a")):
        pass
    assert (here / "runs").is_symlink()
    assert not list((here / "elsewhere").iterdir())


def test_what_a_run_left_that_was_killed_before_it_began_is_taken_over(here: Path) -> None:
    (here / "out" / "servers").mkdir(parents=True)
    with new_directory(Path("out")) as path:
        (path / "manifest.json").write_text("{}")
    assert sorted(each.name for each in path.iterdir()) == ["manifest.json", "servers"]


@pytest.mark.parametrize("name", ["purity.json", ".0123456789abcdef.part"])
def test_what_a_run_wrote_that_was_killed_before_its_manifest_is_taken_over(
    here: Path, name: str
) -> None:
    (here / "out" / "servers").mkdir(parents=True)
    (here / "out" / name).write_text("torn")
    with new_directory(Path("out")) as path:
        (path / "manifest.json").write_text("{}")
    assert sorted(each.name for each in path.iterdir()) == ["manifest.json", "servers"]


def test_nothing_is_left_of_a_run_whose_manifest_cannot_be_written(here: Path) -> None:
    with new_directory(Path("out")) as path:
        (path / "purity.json").write_text("{}")
    assert not list(here.iterdir())


def test_what_a_run_keeps_beside_its_manifest_stays_when_it_ends() -> None:
    with new_directory(Path("out")) as path:
        (path / "purity.json").write_text("{}")
        (path / "manifest.json").write_text("{}")
    assert (path / "purity.json").exists()


def test_a_file_of_the_user_beside_one_that_a_run_may_have_left_keeps_both(here: Path) -> None:
    (here / "out").mkdir()
    for name in ("purity.json", "notes.txt"):
        (here / "out" / name).write_text("mine")
    with pytest.raises(UsageError, match="not empty"), new_directory(Path("out")):
        pytest.fail("it was taken")
    assert (here / "out" / "purity.json").read_text() == "mine"


def test_logs_of_a_killed_run_survive_another_start_that_fails(here: Path) -> None:
    log = here / "out" / "servers" / "a.log"
    log.parent.mkdir(parents=True)
    log.write_text("why it died")
    with new_directory(Path("out")):
        pass
    assert log.read_text() == "why it died"


def test_the_directory_of_a_run_that_is_being_started_is_refused() -> None:
    with (
        new_directory(Path("out")),
        pytest.raises(UsageError, match="another process is starting a run there"),
        new_directory(Path("out")),
    ):
        pytest.fail("two runs share a directory")


async def test_a_dry_run_makes_no_directory(here: Path) -> None:
    async with endpoint() as server:
        done = await run(*two_arms(server), "--dry-run", cwd=here)
    assert done.code == 0, done.err
    assert not (here / "runs").exists()


def test_a_lock_that_was_taken_away_meanwhile_keeps_nobody_out_and_is_made_anew(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def lock(fd: int, operation: int) -> None:
        tries.append(fd)
        if len(tries) == 1:
            shutil.rmtree(here / "out")  # another start, which ends just then
        flock(fd, operation)

    monkeypatch.setattr("engine.cli.directory.fcntl.flock", lock)
    with (
        new_directory(Path("out")),
        pytest.raises(UsageError, match="another process"),
        new_directory(Path("out")),
    ):
        pytest.fail("two runs share a directory")
    assert not list(here.iterdir())


def test_a_file_system_without_locks_is_not_taken_for_another_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lock(_fd: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("engine.cli.directory.fcntl.flock", lock)
    with (
        pytest.raises(UsageError, match=r"cannot lock files .No locks available.*another one"),
        new_directory(Path("out")),
    ):
        pytest.fail("nothing was locked")


def test_a_folder_of_the_user_that_is_called_servers_is_something(here: Path) -> None:
    mine = here / "out" / "servers" / "rack.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match="not empty"), new_directory(Path("out")):
        pytest.fail("it was taken")
    assert mine.read_text() == "mine"
