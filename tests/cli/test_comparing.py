"""The comparison as users get it: from the flags to the verdict, against endpoints."""

import asyncio
import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from engine.events import CompletionReceived
from tests.cli.program import (
    WEIGHTS,
    WITHIN_S,
    endpoint,
    events_of,
    outcome,
    program,
    run,
)
from tests.faults.asks import Ask
from tests.faults.server import FaultyServer

ONE, TWO = "model-one", "model-two"
SERVED = (ONE, TWO)
PHASE = """
title = "Twelve turns"
asks = "Where do they part?"
[[experiments]]
name = "architecture"
prompt = "architecture.md"
max_turns = 12
"""


def chance(ask: Ask) -> float:
    """A number from 0 to 1 that model, seed and turn decide."""
    text = f"{ask.body.model}/{ask.body.seed}/{ask.turn}".encode()
    return int.from_bytes(blake2b(text, digest_size=4).digest()) / 2**32


def block(code: str) -> str:
    return f"Next.\n\n```python\n{code}\n```"


def errs_more(ask: Ask) -> str:
    """Ten blocks; the second model errs in half of them, the first in one of ten."""
    if ask.turn == 10:
        return block("print('EXPERIMENT_COMPLETE')")
    is_wrong = chance(ask) < (0.5 if ask.body.model == TWO else 0.1)
    return block("print(undefined)" if is_wrong else f"print({ask.turn})")


def parts_at_seven(ask: Ask) -> str:
    """The same until turn 7; from then on, the second model stores findings."""
    if ask.turn == 10:
        return block("print('EXPERIMENT_COMPLETE')")
    stores = ask.turn >= 6 and ask.body.model == TWO
    call = f"from introspection import memory\nprint(memory.record_observation('{ask.turn}'))"
    return block(call if stores else f"print({ask.turn + round(chance(ask))})")


def alike(ask: Ask) -> str:
    """Six to nine blocks, of which one in five fails."""
    if ask.turn >= 6 + 3 * chance(ask):
        return block("print('EXPERIMENT_COMPLETE')")
    return block("print(undefined)" if chance(ask) < 0.2 else f"print({ask.turn})")


def arms(server: FaultyServer) -> tuple[str, ...]:
    endpoints = ("--endpoint", f"a={server.url}#{ONE}", "--endpoint", f"b={server.url}#{TWO}")
    return (*endpoints, "--checkpoint", f"a={WEIGHTS}", "--checkpoint", f"b={WEIGHTS}")


def own_phase(folder: Path) -> str:
    made = folder / "twelve"
    made.mkdir()
    (made / "phase.toml").write_text(PHASE)
    (made / "architecture.md").write_text("Investigate. You have {{ max_turns }} turns.\n")
    return str(made)


def comparison_in(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model_comparison.json").read_text())["comparison"]


async def test_a_planted_difference_is_the_first_thing_that_is_said(tmp_path: Path) -> None:
    async with endpoint(reply=errs_more, served=SERVED) as server:
        flags = ("--phase", own_phase(tmp_path), *arms(server), "--replicates", "8")
        done = await run("compare", *flags, "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.out.startswith("a and b differ in execution errors per code block:")
    assert "primary measure: execution errors per code block" in done.err
    found = comparison_in(tmp_path / "out")
    (low, high) = found["scopes"][0]["pairs"][0]["results"][0]["effect"]["interval"].values()
    assert low > 0
    assert low <= 4 / 11 <= high


async def test_arms_that_part_at_turn_seven_are_said_to(tmp_path: Path) -> None:
    async with endpoint(reply=parts_at_seven, served=SERVED) as server:
        flags = ("--phase", own_phase(tmp_path), *arms(server), "--replicates", "6")
        done = await run("compare", *flags, "--out", "out", cwd=tmp_path)
    assert "They part at turn 7 (95 % confidence)" in done.out, done.out
    separation = comparison_in(tmp_path / "out")["scopes"][0]["pairs"][0]["separation"]
    assert (separation["turn"], separation["interval"]) == (6, [6, 6])


async def test_arms_that_are_alike_are_not_said_to_differ(tmp_path: Path) -> None:
    async with endpoint(reply=alike, served=SERVED) as server:
        flags = ("--phase", own_phase(tmp_path), *arms(server), "--replicates", "10")
        await run("compare", *flags, "--out", "out", cwd=tmp_path)
    (pair,) = comparison_in(tmp_path / "out")["scopes"][0]["pairs"]
    assert pair["separation"]["turn"] is None
    assert not [each["measure"] for each in pair["results"] if each["verdict"] == "differ"]


def says_its_name(ask: Ask) -> str:
    return block(f"mine = '{ask.body.model}'\nprint(mine, {ask.turn})")


async def test_requests_of_the_arms_overlap_and_nothing_of_one_reaches_the_other(
    tmp_path: Path,
) -> None:
    may_answer = asyncio.Event()
    async with (
        endpoint(reply=says_its_name, served=SERVED, may_answer=may_answer) as server,
        program(*arms(server), "--replicates", "2", "--out", "out", cwd=tmp_path) as process,
        asyncio.timeout(WITHIN_S),
    ):
        await server.until_in_flight(4)
        assert sorted(ask.body.model for ask in server.asks) == [ONE, ONE, TWO, TWO]
        may_answer.set()
        done = await outcome(process)
        seen = {
            (ask.body.model, "".join(message.content for message in ask.body.messages))
            for ask in server.asks
        }
    assert done.code == 0, done.err
    for name, text in seen:
        assert (TWO if name == ONE else ONE) not in text
    assert len(seen) > 4
    replies = [e for e in events_of(tmp_path / "out") if isinstance(e, CompletionReceived)]
    first = [each.completion for each in replies if each.turn == 0]
    assert len(first) == 4
    assert max(reply.sent for reply in first) < min(reply.received for reply in first)


async def test_a_model_named_twice_is_compared_with_itself(tmp_path: Path) -> None:
    async with endpoint(served=SERVED) as server:
        flags = ("--models", "a,a", *arms(server), "--replicates", "6", "--out", "out")
        done = await run("compare", *flags, cwd=tmp_path)
        n_asks = len(server.asks)
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [(arm["model"], arm["twin_of"]) for arm in manifest["arms"]] == [
        ("a", None),
        ("a-again", "a"),
    ]
    (replies,) = comparison_in(tmp_path / "out")["replies"]
    assert (replies["n_requests"], replies["n_other"]) == (30, 0)
    assert n_asks >= 60


async def test_a_noise_floor_stands_beside_every_difference(tmp_path: Path) -> None:
    async with endpoint(reply=alike, served=SERVED) as server:
        flags = ("--noise-floor", *arms(server), "--replicates", "6", "--out", "out")
        done = await run(*flags, cwd=tmp_path)
    assert "|  | a | b | difference | 95 % interval | noise floor | verdict |" in done.out
    results = comparison_in(tmp_path / "out")["scopes"][0]["pairs"][0]["results"]
    assert all([floor["arm"] for floor in each["noise"]] == ["a", "b"] for each in results)


async def test_a_run_with_twins_is_resumed_with_them(tmp_path: Path) -> None:
    async with endpoint(served=SERVED) as server:
        flags = ("--models", "a,a", *arms(server), "--replicates", "3", "--out", "out")
        stopped = await run("compare", *flags, "--max-turns", "8", cwd=tmp_path)
        done = await run("resume", "out", cwd=tmp_path)
    assert (stopped.code, done.code) == (4, 0), done.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {name: arm["turns"] for name, arm in summary["models"].items()} == {
        "a": 15,
        "a-again": 15,
    }


async def test_replicates_follow_from_the_difference_to_be_found(tmp_path: Path) -> None:
    async with endpoint(reply=alike, served=SERVED) as server:
        flags = ("--phase", own_phase(tmp_path), *arms(server), "--primary", "turns")
        until = ("--until-mde", "0.9", "--max-replicates", "24", "--out", "out")
        stopped = await run("compare", *flags, *until, "--max-turns", "60", cwd=tmp_path)
        done = await run("resume", "out", cwd=tmp_path)
    assert (stopped.code, done.code) == (4, 0), done.err
    assert "the first 10 replicates scatter so that" in done.err
    result = comparison_in(tmp_path / "out")["scopes"][0]["pairs"][0]["results"][0]
    assert 10 < result["n_pairs"] <= 24
    assert result["effect"]["mde"] <= 0.9 or result["n_pairs"] == 24


async def test_a_first_stage_that_is_enough_is_said(tmp_path: Path) -> None:
    async with endpoint(reply=alike, served=SERVED) as server:
        flags = ("--phase", own_phase(tmp_path), *arms(server), "--primary", "turns")
        done = await run("compare", *flags, "--until-mde", "500", "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.err.count("the first 10 replicates scatter so that 10 find a difference of") == 1
    assert "no more are needed." in done.err


async def test_a_limit_on_replicates_is_said_and_no_flag_that_is_given_is_advised(
    tmp_path: Path,
) -> None:
    async with endpoint(reply=alike, served=SERVED) as server:
        flags = ("--until-mde", "0.05", "--max-replicates", "10", "--out", "out")
        done = await run("compare", *arms(server), *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "; --max-replicates allows 10." in done.err
    assert "a verdict takes about --replicates" in done.err
    assert "--until-mde SIZE" not in done.err


async def test_all_stages_have_one_deadline(tmp_path: Path) -> None:
    most_turns, latency_s = 10, 0.3
    async with endpoint(reply=alike, served=SERVED, latency_s=latency_s) as server:
        flags = ("--phase", own_phase(tmp_path), *arms(server), "--primary", "turns")
        until = ("--until-mde", "0.9", "--max-replicates", "24", "--out", "out")
        deadline = ("--deadline", f"{1.7 * most_turns * latency_s:.0f}s")
        done = await run("compare", *flags, *until, *deadline, cwd=tmp_path)
    assert done.code == 4, done.err
    assert "the deadline was reached" in done.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--primary", "speed"), "no such measure. There are: error_rate, turns"),
        (("--primary", "tokens_per_s"), "says what the machine did"),
        (("--until-mde", "0.1", "--max-replicates", "5"), "--until-mde begins with 10"),
        (("--until-mde", "0"), "until-mde"),
    ],
)
async def test_a_comparison_that_cannot_be_is_refused(
    tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    endpoints = ("--endpoint", "a=http://127.0.0.1:9", "--endpoint", "b=http://127.0.0.1:9")
    done = await run("compare", *endpoints, *flags, "--dry-run", cwd=tmp_path)
    assert done.code == 2
    assert words in done.err
