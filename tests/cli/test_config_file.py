"""Flags in a configuration file: which command takes which, and what is refused."""

from pathlib import Path

import pytest

from tests.cli.program import Outcome, run
from tests.report.making import Said, make_run

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


async def test_a_variable_of_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGI_QUANTIZATION", "8bit")
    monkeypatch.setenv("AGI_MODEL_NAME", "b")
    text = 'quantization = "4bit"\nmodel = "a"\n'
    done = await with_file(text, "run", "1a", "--dry-run", cwd=tmp_path)
    assert "model: b;" in done.err, done.err
    assert "The precision 8bit" in done.err


async def test_a_flag_wins_over_a_variable_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGI_MODEL_NAME", "b")
    done = await with_file('model = "b"\n', "run", "1a", "--model", "a", "--dry-run", cwd=tmp_path)
    assert "model: a;" in done.err, done.err


@pytest.mark.parametrize("command", [(), ("compare",)])
async def test_the_bare_command_reads_what_the_comparison_reads(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    arm = '[endpoints.c]\nurl = "http://127.0.0.1:9/v1"\n'
    text = f'models = "a,b"\n[compare]\nmodels = "b,c"\nreplicates = 4\n{arm}'
    done = await with_file(text, *command, "--dry-run", cwd=tmp_path)
    assert "at the same time: b, c;" in done.err, done.err
    assert "(4 per model and phase)" in done.err


async def test_a_fork_passes_over_what_only_new_studies_have(tmp_path: Path) -> None:
    make_run(tmp_path / "run", lambda _: [Said()], models=("a", "b"), replicates=1)
    text = "seed = 3\nuntil_mde = 0.1\nshare_prefix = true\nnoise_floor = true\n"
    done = await with_file(text, "fork", "run", "--at", "1", "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "study seed 0" in done.err


async def test_a_fork_refuses_what_its_own_table_should_not_have(tmp_path: Path) -> None:
    make_run(tmp_path / "run", lambda _: [Said()], models=("a", "b"), replicates=1)
    done = await with_file("[fork]\nseed = 3\n", "fork", "run", "--at", "1", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "fork: --seed" in done.err


async def test_only_flags_are_offered_in_place_of_a_wrong_key(tmp_path: Path) -> None:
    done = await with_file("PHASE = 1\n", "compare", "--dry-run", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "Did you mean 'phase'?" in done.err
