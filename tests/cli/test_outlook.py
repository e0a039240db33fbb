"""What is said about the length and the cost of a run, and what is remembered of it."""

import json
from pathlib import Path

import pytest

from engine.cli.outlook import Limits, advice
from engine.forecast import Band
from tests.cli.program import WEIGHTS, endpoint, run, two_arms


@pytest.fixture(autouse=True)
def own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "phaselab" / "paces.jsonl"


def make_band(likely_s: float) -> Band:
    return Band(low_s=likely_s / 2, likely_s=likely_s, high_s=likely_s * 2)


async def test_a_first_run_says_that_it_does_not_know_and_the_second_does(
    tmp_path: Path, own_memory: Path
) -> None:
    async with endpoint() as server:
        flags = (*two_arms(server), "--replicates", "2")
        first = await run(*flags, "--out", "one", cwd=tmp_path)
        second = await run(*flags, "--out", "two", "--deadline", "2h", cwd=tmp_path)
    assert "forecast: not known yet" in first.err
    assert "going by 4 investigations remembered" in second.err
    assert "The deadline of 2 h 00 will be met." in second.err
    remembered = [json.loads(line) for line in own_memory.read_text().splitlines()]
    assert [pace["n"] for pace in remembered] == [2, 2, 2, 2]
    assert remembered[0]["turns"] == 5.0
    assert remembered[0]["place"] == "127.0.0.1 as served-model"


async def test_a_phase_of_ones_own_is_not_foretold_from_a_shipped_one_of_its_name(
    tmp_path: Path,
) -> None:
    own = tmp_path / "own" / "comparison"
    own.mkdir(parents=True)
    stages = '[[experiments]]\nname = "first"\nprompt = "first.md"\n'
    (own / "phase.toml").write_text(f'title = "Mine"\nasks = "?"\n{stages}')
    (own / "first.md").write_text("Measure something about yourself.")
    async with endpoint() as server:
        await run(*two_arms(server), "--out", "one", cwd=tmp_path)
        flags = (*two_arms(server), "--dry-run")
        shipped = await run(*flags, cwd=tmp_path)
        mine = await run("compare", "--phase", "own/comparison", *flags, cwd=tmp_path)
    assert "going by 2 investigations remembered" in shipped.err
    assert "forecast: not known yet" in mine.err


async def test_a_torn_memory_is_passed_over(tmp_path: Path, own_memory: Path) -> None:
    own_memory.parent.mkdir(parents=True)
    own_memory.write_bytes(b'{"model": "a", "pla')
    async with endpoint() as server:
        done = await run(*two_arms(server), "--out", "one", cwd=tmp_path)
    assert done.code == 0, done.err


async def test_a_memory_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    async with endpoint() as server:
        done = await run(*two_arms(server), "--out", "one", cwd=tmp_path)
    assert done.code == 0, done.err


def test_a_deadline_that_comes_first_is_told_with_what_to_change() -> None:
    head, remedy = advice(make_band(7200), Limits(1800.0, 8, 64))
    assert head == (
        "The deadline of 30 min will come first. By then about 16 of 64 investigations are done."
    )
    assert "--replicates 1 (of 8)" in remedy
    assert "resume" in remedy


def test_a_deadline_within_the_band_may_come_first() -> None:
    assert "may come first" in advice(make_band(7200), Limits(5400.0, 1, 2))[0]


def test_a_long_run_without_a_deadline_is_told_how_to_be_shorter() -> None:
    assert "To be done in 11 h 00" in advice(make_band(20 * 3600), Limits(None, 4, 8))[0]
    assert advice(make_band(600), Limits(None, 4, 8)) == ()


async def test_prices_make_costs_in_summary_terminal_and_forecast(tmp_path: Path) -> None:
    async with endpoint() as server:
        table = f'url = "{server.url}"\nmodel = "served-model"\ncheckpoint = "{WEIGHTS}"\n'
        prices = 'prices = { prompt = 2.0, cached = 1.0, completion = 8.0, currency = "EUR" }\n'
        text = f"[endpoints.a]\n{table}{prices}[endpoints.b]\n{table}"
        (tmp_path / "lab.toml").write_text(text)
        done = await run("--config", "lab.toml", "--out", "one", cwd=tmp_path)
        again = await run("--config", "lab.toml", "--out", "two", cwd=tmp_path)
    summary = json.loads((tmp_path / "one" / "summary.json").read_text())
    (found,) = summary["costs"].values()
    fresh = found["prompt_tokens"] - found["cached_tokens"]
    millions = 2.0 * fresh + 1.0 * found["cached_tokens"] + 8.0 * found["completion_tokens"]
    assert found["amount"] == pytest.approx(millions / 1e6, abs=1e-6)
    assert found["prompt_tokens"] == summary["models"]["a"]["prompt_tokens"]
    assert f"cost: a {found['amount']:.4f} EUR" in done.err
    assert "a will cost about 0.0" in again.err
