"""Shared beginnings and forks, as their users start them."""

import json
from pathlib import Path

import pytest

from engine.events import CompletionReceived, InvestigationStarted
from tests.cli.program import (
    bare_arm,
    endpoint,
    events_of,
    one_arm,
    program,
    run,
    two_arms,
    until_recorded,
)
from tests.faults.asks import Ask
from tests.faults.faults import Fault

SHARED = ("1a", "1c", "1d")
QUIET = ("--display", "none")
FIVE = ("--replicates", "5", *QUIET)


def stages(ask: Ask) -> str:
    """Two turns in every experiment, whose words depend on the seed of the request."""
    said = [message for message in ask.body.messages if message.role != "system"]
    opening = max(n for n, message in enumerate(said) if "Experiment:" in message.content)
    n_before = sum(message.role == "assistant" for message in said[opening:])
    if n_before:
        return "Done.\n\n```python\nprint(n, 'EXPERIMENT_COMPLETE')\n```"
    code = (
        "import random\nfrom introspection import memory\n"
        "n = (n + 1) if 'n' in dir() else 1\n"
        f"memory.record_observation('seed {ask.body.seed}')\n"
        "print(n, random.random(), len(memory.query_observations()))"
    )
    return f"With seed {ask.body.seed}.\n\n```python\n{code}\n```"


async def test_shared_experiments_are_asked_once_and_nothing_else_changes(tmp_path: Path) -> None:
    async with endpoint(reply=stages) as server:
        done = await run(
            "run", *SHARED, "--share-prefix", *one_arm(server), *FIVE, "--out", "once", cwd=tmp_path
        )
        assert done.code == 0, done.err
        # 1a has 3 experiments of 2 turns; 1c and 1d add one each.
        assert len(server.asks) == 5 * (6 + 2 + 2)
        n_shared = len(server.asks)
        await run("run", *SHARED, *one_arm(server), *FIVE, "--out", "each", cwd=tmp_path)
        assert len(server.asks) - n_shared == 5 * (6 + 6 + 8)
    assert messages(tmp_path / "once") == messages(tmp_path / "each")
    assert "tokens saved by it" in done.out


async def test_histories_are_identical_up_to_the_branch(tmp_path: Path) -> None:
    async with endpoint(reply=stages) as server:
        await run(
            "run", *SHARED, "--share-prefix", *one_arm(server), *FIVE, "--out", "out", cwd=tmp_path
        )
    said = messages(tmp_path / "out")
    for replicate in range(5):
        base, late, delayed = (said[f"a.{phase}.{replicate}"] for phase in SHARED)
        assert base[:9] == late[:9] == delayed[:9]
        assert base[:-1] == delayed[: len(base) - 1]
        assert delayed[len(base) - 1]["content"].startswith(base[-1]["content"])
        assert "heritage" in late[9]["content"]


@pytest.mark.parametrize("n_events", [3, 40, 90, 130])
async def test_a_killed_run_with_shared_beginnings_goes_on(n_events: int, tmp_path: Path) -> None:
    arguments = ("run", *SHARED, "--share-prefix", *FIVE, "--concurrency", "3")
    async with endpoint(reply=stages, latency_s=0.02) as server:
        server.hold(45)
        async with program(*arguments, *one_arm(server), "--out", "out", cwd=tmp_path) as process:
            await until_recorded(tmp_path / "out", n_events)
            process.kill()
        server.release()
        done = await run("resume", "out", "--display", "none", cwd=tmp_path)
        assert done.code == 0, done.err
        assert len(server.asks) <= 5 * 10 + 3, "only what was in flight is asked again"
        await run(*arguments, *one_arm(server), "--out", "whole", cwd=tmp_path)
    assert messages(tmp_path / "out") == messages(tmp_path / "whole")


async def test_a_beginning_that_infrastructure_ended_is_made_up_for_by_resume(
    tmp_path: Path,
) -> None:
    def refuse_late(ask: Ask) -> Fault:
        return Fault.WRONG_KEY if ask.turn > 1 else Fault.NONE

    arguments = ("run", "1a", "1c", "--share-prefix", "--display", "none", "--out", "out")
    async with endpoint(reply=stages, plan=refuse_late) as refusing:
        lost = await run(*arguments, *one_arm(refusing), cwd=tmp_path)
    assert lost.code == 1, lost.err
    assert "a.1a.0, whose beginning it shares, ended by rejected" in lost.err
    async with endpoint(reply=stages) as server:
        done = await run("resume", "out", *bare_arm(server), "--display", "none", cwd=tmp_path)
        assert done.code == 0, done.err
        assert len(server.asks) == 4 + 2
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [item["inherited_turns"] for item in summary["investigations"]] == [0, 4]


async def forked(tmp_path: Path, *arguments: str) -> dict[str, list[dict[str, str]]]:
    """Run 1d, fork it as told before its last experiment, and return what was said."""
    async with endpoint(reply=stages) as server:
        await run("run", "1d", *one_arm(server), *FIVE, "--out", "out", cwd=tmp_path)
        done = await run("fork", "out", *arguments, "--out", "fork", cwd=tmp_path)
        assert done.code == 0, done.err
    return messages(tmp_path / "fork")


async def test_a_fork_goes_on_under_its_change_and_the_control_under_none(tmp_path: Path) -> None:
    said = await forked(tmp_path, "--at", "revision", "--set", "heritage=none", "--set", "control")
    whole = messages(tmp_path / "out")
    for replicate in range(5):
        parent = whole[f"a.1d.{replicate}"]
        control = said[f"a.1d-at-revision.{replicate}"]
        without = said[f"a.1d-at-revision-heritage-none.{replicate}"]
        assert parent[:13] == control[:13] == without[:13]
        assert control[13] == parent[13]
        assert "introspection.heritage" not in without[13]["content"]
        assert "documents" not in without[13]["content"]
        assert control[14] != parent[14], "its seeds are its own"
        assert control[14] == without[14], "and those of every change"


async def test_a_fork_has_the_namespace_and_the_findings_of_its_trunk(tmp_path: Path) -> None:
    said = await forked(tmp_path, "--at", "revision")
    whole = messages(tmp_path / "out")
    for replicate in range(5):
        printed = said[f"a.1d-at-revision.{replicate}"][15]["content"].split()
        expected = whole[f"a.1d.{replicate}"][15]["content"].split()
        assert printed[1:] == expected[1:], "counter, random state and number of findings"


async def test_a_fork_after_a_turn_keeps_that_many(tmp_path: Path) -> None:
    said = await forked(tmp_path, "--at", "3", "--set", "temperature=0.1")
    begun = [e for e in events_of(tmp_path / "fork") if isinstance(e, InvestigationStarted)]
    summary = json.loads((tmp_path / "fork" / "summary.json").read_text())
    assert [item["inherited_turns"] for item in summary["investigations"]] == [3] * 5
    assert all(e.fork and e.fork.changes == {"temperature": "0.1"} for e in begun)
    assert len(said) == 5


async def test_a_fork_with_another_model_is_answered_by_it(tmp_path: Path) -> None:
    async with endpoint(reply=stages) as one, endpoint(reply=stages) as other:
        await run("run", "1a", *one_arm(one), "--out", "out", cwd=tmp_path)
        n_before = len(one.asks)
        moved = ("--set", "model=b", *one_arm(other, "b"), "--out", "fork")
        done = await run("fork", "out", "--at", "conclusions", *moved, cwd=tmp_path)
        assert done.code == 0, done.err
        assert len(one.asks) == n_before
        assert len(other.asks) == 2


async def test_branches_of_one_seed_are_told_that_a_verdict_takes_more_seeds(
    tmp_path: Path,
) -> None:
    async with endpoint(reply=stages) as server:
        two = (*two_arms(server), "--models", "a,b")
        await run("compare", "1a", *two, *QUIET, "--out", "out", cwd=tmp_path)
        eight = ("--at", "conclusions", "--replicates", "8", "--out", "fork")
        done = await run("fork", "out", *eight, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "a verdict takes about 6 seeds" in done.err
    assert "fork one with as many --replicates" in done.err


async def test_a_killed_fork_goes_on_without_its_run(tmp_path: Path) -> None:
    at = ("--at", "activations", "--replicates", "3", "--concurrency", "2", "--display", "none")
    async with endpoint(reply=stages, latency_s=0.03) as server:
        await run("run", "1a", *one_arm(server), *FIVE, "--out", "out", cwd=tmp_path)
        server.hold(40)
        async with program("fork", "out", *at, "--out", "fork", cwd=tmp_path) as process:
            await until_recorded(tmp_path / "fork", 60)
            process.kill()
        server.release()
        (tmp_path / "out").rename(tmp_path / "gone")
        done = await run("resume", "fork", "--display", "none", cwd=tmp_path)
        assert done.code == 0, done.err
        (tmp_path / "gone").rename(tmp_path / "out")
        await run("fork", "out", *at, "--out", "whole", cwd=tmp_path)
    assert messages(tmp_path / "fork") == messages(tmp_path / "whole")
    assert len(messages(tmp_path / "fork")) == 15


async def test_a_run_that_is_still_going_on_can_be_forked(tmp_path: Path) -> None:
    def stay(ask: Ask) -> Fault:
        return Fault.HANG if ask.turn > 1 else Fault.NONE

    async with (
        endpoint(reply=stages, plan=stay) as slow,
        endpoint(reply=stages) as quick,
        program("run", "1d", *one_arm(slow), *QUIET, "--out", "out", cwd=tmp_path) as going,
    ):
        await until_recorded(tmp_path / "out", 9)
        at = ("--at", "activations", "--set", "heritage=wrong", "--out", "fork")
        done = await run("fork", "out", *at, *one_arm(quick), cwd=tmp_path)
        assert done.code == 0, done.err
        assert going.returncode is None, "it was not waited for"
    assert len(quick.asks) == 6, "what the run has is not asked again"
    (said,) = messages(tmp_path / "fork").values()
    kept = [e for e in events_of(tmp_path / "out") if isinstance(e, CompletionReceived)]
    assert [said[2]["content"], said[4]["content"]] == [e.completion.text for e in kept]
    assert "introspection.heritage" in said[5]["content"]


async def test_a_killed_run_can_be_forked_where_it_came_to(tmp_path: Path) -> None:
    async with endpoint(reply=stages, latency_s=0.05) as server:
        arguments = ("run", "1a", *one_arm(server), "--replicates", "3", "--concurrency", "1")
        server.hold(14)
        async with program(*arguments, "--out", "out", cwd=tmp_path) as process:
            await until_recorded(tmp_path / "out", 25)
            process.kill()
        server.release()
        done = await run("fork", "out", "--at", "2", "--out", "fork", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "never came as far as 2" in done.err or len(started(tmp_path)) == 3
    assert len(messages(tmp_path / "fork")) == len(started(tmp_path)) >= 1


def started(tmp_path: Path) -> list[InvestigationStarted]:
    """Return the investigations that the fork in `tmp_path` began."""
    return [e for e in events_of(tmp_path / "fork") if isinstance(e, InvestigationStarted)]


async def test_the_trunk_is_left_as_it_was(tmp_path: Path) -> None:
    async with endpoint(reply=stages) as server:
        await run("run", "1a", *one_arm(server), "--out", "out", cwd=tmp_path)
        before = (tmp_path / "out" / "events.jsonl").read_bytes()
        await run("fork", "out", "--at", "conclusions", "--out", "fork", cwd=tmp_path)
    assert (tmp_path / "out" / "events.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--at", "nowhere"), "neither an experiment of the run"),
        (("--at", "99"), "none of 1 investigations has come that far"),
        (("--at", "2", "--set", "seed=4"), "heritage=true|wrong|none"),
        (("--at", "2", "--set", "temperature=hot"), "a number from 0 to 2"),
        (("--at", "2", "--set", "heritage=maybe"), "true, wrong or none"),
        (("--at", "5", "--set", "heritage=true"), "branch off earlier"),
        (("--at", "2", "--set", "model=c"), "'c'"),
        (("--at", "2", "--only", "z*"), "no investigation has such an id"),
        (("--at", "2", "--seed", "4"), "fork: --seed"),
        (("--at", "2", "--phase", "own"), "fork: --phase"),
        (("--at", "2", "--share-prefix"), "fork: --share-prefix"),
    ],
)
async def test_a_fork_that_cannot_be_is_refused_by_name(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    async with endpoint(reply=stages) as server:
        await run("run", "1a", *one_arm(server), "--out", "out", cwd=tmp_path)
        done = await run("fork", "out", *arguments, "--out", "fork", cwd=tmp_path)
    assert done.code == 2, done.err
    assert words in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "fork").exists()


async def test_a_model_that_several_would_go_on_with_is_looked_up_first(tmp_path: Path) -> None:
    async with endpoint(reply=stages) as server:
        flags = two_arms(server)
        await run("compare", "1a", *flags, "--out", "out", cwd=tmp_path)
        forking = ("--at", "2", "--set", "model=nope", "--out", "fork")
        done = await run("fork", "out", *forking, cwd=tmp_path)
    assert done.code == 2, done.err
    assert "'nope': not served here" in done.err


def messages(run_dir: Path) -> dict[str, list[dict[str, str]]]:
    return {
        path.stem: json.loads(path.read_text())["messages"]
        for path in (run_dir / "transcripts").glob("*.json")
    }
