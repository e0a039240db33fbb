"""What cannot be carried out whole is refused before anything is asked for."""

import json
from pathlib import Path

from tests.cli.program import bare_arm, endpoint, one_arm, run

QUIET = ("--display", "none")
TOML = """
title = "Mine"
asks = "What is printed?"
capabilities = ["memory"]

[[experiments]]
name = "first"
prompt = "first.md"
"""


def is_beginning(line: bytes) -> bool:
    return json.loads(line)["event"] in ("run_started", "investigation_started")


def cut_after_beginnings(run_dir: Path, n_begun: int) -> None:
    """Leave of a journal what it began with, and of that only the first so many investigations."""
    path = run_dir / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*filter(is_beginning, lines)][: 1 + n_begun]))


async def test_a_fork_that_was_killed_before_all_its_beginnings_were_recorded_is_refused(
    tmp_path: Path,
) -> None:
    async with endpoint() as server:
        arguments = ("run", "1a", *one_arm(server), "--replicates", "3", *QUIET, "--out", "out")
        await run(*arguments, cwd=tmp_path)
        await run("fork", "out", "--at", "1", *QUIET, "--out", "fork", cwd=tmp_path)
        cut_after_beginnings(tmp_path / "fork", 2)
        n_asked = len(server.asks)
        done = await run("resume", "fork", *QUIET, cwd=tmp_path)
    assert done.code == 2, done.err
    assert "killed before everything was recorded (2 of 3 investigations). Fork once" in done.err
    assert len(server.asks) == n_asked


async def test_a_phase_whose_name_is_too_long_for_files_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("p" * 200)
    folder.mkdir()
    (folder / "phase.toml").write_text(TOML)
    (folder / "first.md").write_text("Experiment: first.")
    async with endpoint() as server:
        arm = bare_arm(server, "m" * 60)
        done = await run("run", "--phase", folder.name, *arm, *QUIET, cwd=tmp_path)
    assert done.code == 2, done.err
    assert "263 letters together and may have 200" in done.err
    assert not server.asks
    assert not (tmp_path / "runs").exists(), "nothing is left behind"
