"""Counts: whole numbers within bounds, wherever they are taken."""

import pytest

from engine.cli.app import run
from engine.cli.counts import counted


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--replicates", "1000001"),
        ("--replicates", "99999999999999999999999"),
        ("--max-replicates", "20000000"),
    ],
)
def test_a_count_without_end_is_refused_with_its_bound(
    flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([flag, value, "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert not [word for word in (flag, value, "1000000") if word not in said], said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--replicates", "1.5"],
        ["--replicates", "1e3"],
        ["--max-replicates", "12.5"],
        ["--seed", "0.6"],
        ["--concurrency", "2.5"],
        ["--max-turns", "2.5"],
        ["--max-tokens", "2.5"],
        ["plan", "--replicates", "2.5"],
        ["plan", "--concurrency", "2.5"],
        ["plan", "--context", "500.5"],
        ["resume", "nowhere", "--max-turns", "2.5"],
    ],
)
def test_a_fraction_is_refused_and_not_rounded(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    *_, flag, value = arguments
    said = capsys.readouterr().err
    assert f"{flag}: {value!r} is no whole number" in said


@pytest.mark.parametrize("value", ["inf", "nan"])
def test_a_difference_to_be_found_is_finite(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--until-mde", value, "--dry-run"]) == 2
    assert f'"{value}" for --until-mde' in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--max-turns", "--max-tokens"])
@pytest.mark.parametrize("value", ["0", "-3"])
def test_a_resumed_run_has_the_bounds_of_a_new_one(
    flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["resume", "nowhere", flag, value]) == 2
    assert f'"{value}" for {flag}' in capsys.readouterr().err


def test_one_is_said_without_an_s() -> None:
    assert [counted(n, "block") for n in (0, 1, 1200)] == ["0 blocks", "1 block", "1,200 blocks"]


def test_one_model_is_announced_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "1a", "--model", "tiny-s", "--dry-run"]) == 0
    assert "phases: 1a; model: tiny-s; 1 investigation (1 per" in capsys.readouterr().err


def test_help_shows_flags_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    run(["compare", "--help"])
    shown = capsys.readouterr().out
    assert "--deadline DURATION" in shown
    assert "()" not in shown
