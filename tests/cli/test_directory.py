"""The directory of a run: whose it is, and what is left of a run that never began."""

from concurrent.futures import ThreadPoolExecutor
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
