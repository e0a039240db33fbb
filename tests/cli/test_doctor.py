"""`doctor`: what would run here, and is it ready."""

import json
from pathlib import Path

from tests.cli.program import endpoint, run, two_arms


async def test_everything_that_the_main_job_needs_is_looked_at(tmp_path: Path) -> None:
    async with endpoint() as server:
        done = await run("doctor", "--json", *two_arms(server), cwd=tmp_path)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["is_ready"]
    subjects = [item["subject"] for item in found["findings"]]
    assert subjects == ["python", "run directory", "sandbox", "main job"]
    assert not list(tmp_path.iterdir())


async def test_an_endpoint_that_is_down_makes_it_not_ready(tmp_path: Path) -> None:
    flags = ("--endpoint", "a=http://127.0.0.1:9/v1", "--endpoint", "b=http://127.0.0.1:9/v1")
    done = await run("doctor", "--json", *flags, cwd=tmp_path)
    assert done.code == 3, done.err
    (bad,) = [item for item in json.loads(done.out)["findings"] if not item["is_ready"]]
    assert bad["subject"] == "main job"
    assert "127.0.0.1:9" in bad["detail"]


async def test_a_directory_that_cannot_be_written_makes_it_not_ready(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    async with endpoint() as server:
        flags = (*two_arms(server), "--out", "file/run")
        done = await run("doctor", "--json", *flags, cwd=tmp_path)
    assert done.code == 3, done.err
