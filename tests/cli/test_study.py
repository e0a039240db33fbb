"""The main job against endpoints: from the flags to the files."""

import asyncio
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

from engine.events import CompletionReceived, TurnEnded
from engine.manifest import read_manifest
from tests.cli.program import (
    WEIGHTS,
    WITHIN_S,
    endpoint,
    events_of,
    one_arm,
    outcome,
    program,
    run,
    two_arms,
)


async def test_the_bare_command_compares_two_endpoints(tmp_path: Path) -> None:
    async with endpoint() as server:
        done = await run(*two_arms(server), "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.out.startswith("a and b, execution errors per code block: not enough runs: 5 more")
    assert "| execution errors per code block (primary) | 20 % | 20 % | 0 points |" in done.out
    assert "| code blocks executed | 5.00 | 5.00 | 0 |" in done.out
    assert "run directory: out" in done.err
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made >= {"manifest.json", "events.jsonl", "summary.json", "model_comparison.json"}


async def test_both_models_are_asked_at_the_same_time(tmp_path: Path) -> None:
    may_answer = asyncio.Event()
    async with (
        endpoint(may_answer=may_answer) as server,
        program(*two_arms(server), "--out", "out", cwd=tmp_path) as process,
        asyncio.timeout(WITHIN_S),
    ):
        await server.until_in_flight(2)  # an investigation asks for one reply at a time
        may_answer.set()
        done = await outcome(process)
    assert done.code == 0, done.err
    replies = [e for e in events_of(tmp_path / "out") if isinstance(e, CompletionReceived)]
    assert {each.investigation.partition(".")[0] for each in replies[:2]} == {"a", "b"}
    first, second = (each.completion for each in replies[:2])
    assert max(first.sent, second.sent) < min(first.received, second.received)


async def test_no_arm_has_system_messages_where_one_takes_none(tmp_path: Path) -> None:
    async with endpoint() as server:
        table = f'url = "{server.url}"\nmodel = "served-model"\ncheckpoint = "{WEIGHTS}"\n'
        text = f"[endpoints.a]\n{table}[endpoints.b]\n{table}system_role = false\n"
        (tmp_path / "lab.toml").write_text(text)
        done = await run("--config", "lab.toml", "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "b takes no system message; in every arm, what it would say opens" in done.err
    sent = [ask.body.messages for ask in server.asks]
    assert {message.role for messages in sent for message in messages} == {"user", "assistant"}
    assert len({messages[0].content for messages in sent}) == 1
    assert "introspection" in sent[0][0].content
    assert [arm.has_system_role for arm in read_manifest(tmp_path / "out").arms] == [False, False]


async def test_counts_equal_a_recount_from_the_events(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), "--replicates", "3", "--out", "out", cwd=tmp_path)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    turns: Counter[str] = Counter()
    blocks: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for event in events_of(tmp_path / "out"):
        if isinstance(event, TurnEnded):
            model = event.investigation.partition(".")[0]
            turns[model] += 1
            blocks[model] += len(event.executions)
            errors[model] += sum(execution.error is not None for execution in event.executions)
    for model, counts in summary["models"].items():
        assert counts["turns"] == turns[model] == 15
        assert counts["code_blocks_executed"] == blocks[model] == 15
        assert counts["execution_errors"] == errors[model] == 3


async def test_every_conversation_belongs_to_one_model_and_starts_anew(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), "--replicates", "2", "--out", "out", cwd=tmp_path)
    comparison = json.loads((tmp_path / "out" / "model_comparison.json").read_text())
    for model, arm in comparison["models"].items():
        assert [talk["model"] for talk in arm["conversations"]] == [model] * 2
        for talk in arm["conversations"]:
            roles = [message["role"] for message in talk["messages"]]
            assert roles[:2] == ["system", "user"]
            assert all(first != second for first, second in pairwise(roles[1:]))


async def test_the_arms_are_sent_the_same_seeds_and_replicates_others(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), "--replicates", "2", "--out", "out", cwd=tmp_path)
        seeds = Counter(ask.body.seed for ask in server.asks)
    assert set(seeds.values()) == {2}
    assert len(seeds) == 10


async def test_json_goes_to_stdout_and_talk_to_stderr(tmp_path: Path) -> None:
    async with endpoint() as server:
        done = await run(*two_arms(server), "--json", "--out", "out", cwd=tmp_path)
    assert set(json.loads(done.out)["models"]) == {"a", "b"}
    again = await run("report", "out", "--json", cwd=tmp_path)
    assert json.loads(again.out) == json.loads(done.out)


async def test_one_model_runs_alone(tmp_path: Path) -> None:
    async with endpoint() as server:
        flags = (*two_arms(server), "--model", "b", "--out", "out")
        done = await run("run", "comparison", *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    assert set(json.loads((tmp_path / "out" / "summary.json").read_text())["models"]) == {"b"}


async def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = await run(
        "--dry-run",
        "--endpoint",
        "a=http://127.0.0.1:9",
        "--endpoint",
        "b=http://127.0.0.1:9",
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    assert "2 investigations" in done.err
    assert not list(tmp_path.iterdir())


async def test_flags_can_come_from_a_file(tmp_path: Path) -> None:
    async with endpoint() as server:
        served = server.served[0]
        (tmp_path / "study.toml").write_text(
            f'endpoint = ["a={server.url}#{served}", "b={server.url}#{served}"]\nreplicates = 2\n'
            f'checkpoint = ["a={WEIGHTS}", "b={WEIGHTS}"]\n'
        )
        done = await run("--config", "study.toml", "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["models"]["a"]["investigations"] == 2


async def test_a_key_reaches_the_server_and_nothing_else(tmp_path: Path) -> None:
    secret = "sk-not-for-anybody"
    async with endpoint(key=secret) as server:
        done = await run(*two_arms(server), "--out", "out", cwd=tmp_path)
        assert done.code == 3
        assert "OPENAI_API_KEY" in done.err
        assert not (tmp_path / "out").exists()


async def test_ends_of_infrastructure_are_partial_and_left_out(tmp_path: Path) -> None:
    from tests.faults.asks import Ask
    from tests.faults.faults import Fault

    def plan(ask: Ask) -> Fault:
        return Fault.WRONG_KEY if ask.turn == 2 and ask.body.model == "other" else Fault.NONE

    async with endpoint(served=("served-model", "other"), plan=plan) as server:
        other = ("--endpoint", f"b={server.url}#other", "--checkpoint", f"b={WEIGHTS}")
        flags = (*one_arm(server), *other)
        done = await run(*flags, "--out", "out", cwd=tmp_path)
    assert done.code == 4, done.err
    assert "| left out (infrastructure) | 0 | 1 |" in done.out
    assert "resume out" in done.err


async def test_too_few_replicates_are_told_how_many_a_verdict_takes(tmp_path: Path) -> None:
    async with endpoint() as server:
        done = await run(*two_arms(server), "--out", "out", cwd=tmp_path)
    assert "a verdict takes about --replicates 6" in done.err
