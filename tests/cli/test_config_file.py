"""Flags in a configuration file: which command takes which, and what is refused."""

from pathlib import Path

import pytest

from tests.cli.program import Outcome, run

ARMS = """
[endpoints.a]
url = "http://127.0.0.1:9/v1"
[endpoints.b]
url = "http://127.0.0.1:9/v1"
"""


async def with_file(text: str, *arguments: str, cwd: Path) -> Outcome:
    (cwd / "study.toml").write_text(text + ARMS)
    return await run(*arguments, "--config", "study.toml", cwd=cwd)


@pytest.mark.parametrize("command", [(), ("compare",), ("run", "1a", "--model", "a")])
async def test_every_command_takes_the_flags_at_the_top(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    done = await with_file("replicates = 3\nseed = 7\n", *command, "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "(3 per model and phase), study seed 7" in done.err


async def test_the_table_of_a_command_wins_over_the_top(tmp_path: Path) -> None:
    text = "replicates = 3\nmax-turns = 9\n[compare]\nreplicates = 4\n[plan]\nreplicates = 5\n"
    done = await with_file(text, "compare", "--dry-run", cwd=tmp_path)
    assert "(4 per model and phase)" in done.err, done.err


async def test_a_flag_wins_over_the_file(tmp_path: Path) -> None:
    done = await with_file("replicates = 3\n", "--replicates", "2", "--dry-run", cwd=tmp_path)
    assert "(2 per model and phase)" in done.err, done.err


async def test_a_flag_that_is_called_like_a_command_is_taken(tmp_path: Path) -> None:
    text = 'hardware = "h100"\n'
    done = await with_file(text, "plan", "--models", "qwen2.5-3b", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "NVIDIA H100" in done.out


async def test_a_flag_of_other_commands_only_is_passed_over(tmp_path: Path) -> None:
    text = 'share_prefix = true\nhardware = "h100"\n'
    done = await with_file(text, "plan", "--models", "qwen2.5-3b", cwd=tmp_path)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("replicats = 3\n", ["'replicats'", "'replicates'"]),
        ("[compare]\nreplicats = 3\n", ["'compare.replicats'", "'replicates'"]),
        ('[compare]\nformat = "chat"\n', ["'compare.format'"]),
        ("[compar]\nreplicates = 3\n", ["'compar'"]),
        ('replicates = "many"\n', ["[replicates]", "many"]),
        ('display = "fancy"\n', ["[display]", "fancy"]),
        ("replicates = 0\n", ["[replicates]", "0"]),
        ("replicates = 1.5\n", ["[replicates]", "'1.5' is no whole number"]),
        ('deadline = "soon"\n', ["[deadline]", "'soon' is no duration"]),
    ],
)
async def test_what_no_command_can_take_is_named(
    text: str, words: list[str], tmp_path: Path
) -> None:
    done = await with_file(text, "compare", "--dry-run", cwd=tmp_path)
    assert done.code == 2, done.err
    assert not [word for word in ("study.toml", *words) if word not in done.err], done.err


async def test_doctor_checks_what_the_bare_command_would_read(tmp_path: Path) -> None:
    done = await with_file("replicats = 3\n", "doctor", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "'replicats'" in done.err
