"""Servers that tell no token counts: nothing is made up for them, and it is said."""

import json
from pathlib import Path

import pytest

from engine.budget import RunBudget
from engine.cli.stopping import Spending
from engine.drain import Drain
from engine.events import CompletionReceived
from engine.transcript import Completion, Usage
from tests.cli.program import WEIGHTS, endpoint, run
from tests.faults.asks import always
from tests.faults.faults import Fault

SAID = "its server tells no token counts"


def a_reply(investigation: str, usage: Usage) -> CompletionReceived:
    completion = Completion(text="x", finish_reason="stop", usage=usage, sent=0.0, received=1.0)
    return CompletionReceived(
        time=1.0,
        investigation=investigation,
        experiment="one",
        turn=0,
        seed=1,
        completion=completion,
    )


def test_the_first_reply_without_token_counts_is_spoken_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spending = Spending(RunBudget(), Drain())
    for investigation in ("a.comparison.0", "a.comparison.1"):
        spending.hear(a_reply(investigation, Usage()))
    said = capsys.readouterr().err
    assert said.count(SAID) == 1
    assert "a.comparison.0" in said


def test_a_reply_with_token_counts_is_not_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    Spending(RunBudget(), Drain()).hear(a_reply("a.comparison.0", Usage(9, 0)))
    assert not capsys.readouterr().err


@pytest.mark.slow
async def test_an_arm_without_token_counts_has_no_cost_and_no_difference_in_tokens(
    tmp_path: Path,
) -> None:
    async with endpoint(plan=always(Fault.NO_USAGE)) as silent, endpoint() as telling:
        tables = [
            f'[endpoints.{name}]\nurl = "{server.url}"\nmodel = "served-model"\n'
            f'checkpoint = "{WEIGHTS}"\n'
            "prices = { prompt = 2.0, completion = 8.0 }\n"
            for name, server in (("a", silent), ("b", telling))
        ]
        (tmp_path / "lab.toml").write_text("".join(tables))
        done = await run("--config", "lab.toml", "--out", "one", cwd=tmp_path)
    summary = json.loads((tmp_path / "one" / "summary.json").read_text())
    assert set(summary["costs"]) == {"b"}
    assert SAID in done.err
    assert "cost: a not known" in done.err
    assert "cost: b not known" not in done.err
    comparison = json.loads((tmp_path / "one" / "model_comparison.json").read_text())["comparison"]
    (pair,) = comparison["scopes"][0]["pairs"]
    of_tokens = [each for each in pair["results"] if each["measure"].endswith("_tokens")]
    assert len(of_tokens) == 2
    for each in of_tokens:
        assert each["first"]["value"] is each["effect"]["difference"] is None
        assert each["second"]["value"] > 0
