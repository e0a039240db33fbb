"""Arms that take turns on one machine: one awake at a time, or one after another."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import groupby, pairwise
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.serving.turns import Turns, rounds
from engine.endpoint import Endpoint
from engine.events import CompletionReceived
from engine.runner import plan
from servers.launch.readiness import NoAnswerError, complete_one_token
from servers.launch.sleeping import Sleeper
from servers.launch.values import ServerStart
from servers.launcher import launch
from tests.cli.fake import fake_vllm, models
from tests.cli.program import events_of, run, weights_of
from tests.servers.launch.starts import PATIENCE, Told, alive_in, make_start


@given(
    n_replicates=st.integers(0, 7), n_models=st.integers(1, 4), n_each=st.none() | st.integers(1, 5)
)
def test_every_investigation_has_its_turn_once_and_arms_stay_side_by_side(
    n_replicates: int, n_models: int, n_each: int | None
) -> None:
    arms = [f"m{number}" for number in range(n_models)]
    cases = plan(models=arms, phases=["p"], replicates=n_replicates, seed=1)
    done: list[str] = []
    counts = dict.fromkeys(arms, 0)
    for model, part in rounds(cases, arms, n_each):
        assert {case.model for case in part} == {model}
        counts[model] += len(part)
        done += [case.id for case in part]
        most = n_each or n_replicates
        assert max(counts.values()) - min(counts.values()) <= most
    assert sorted(done) == sorted(case.id for case in cases)


def test_every_second_round_goes_the_other_way() -> None:
    cases = plan(models=["a", "b"], phases=["p"], replicates=3, seed=1)
    assert [model for model, _ in rounds(cases, ["a", "b"], 1)] == ["a", "b", "b", "a", "a", "b"]


def arms_in_order(folder: Path) -> list[str]:
    """Whose completions were received, one entry per stretch of the same arm."""
    events = [each for each in events_of(folder) if isinstance(each, CompletionReceived)]
    spans = [(each.completion.sent, each.completion.received) for each in events]
    arms = [each.investigation.rsplit(".", 2)[0] for each in events]
    for (one, other), (first, second) in zip(pairwise(spans), pairwise(arms), strict=True):
        assert first == second or one[1] <= other[0], "two arms were asked at once"
    return [arm for arm, _ in groupby(arms)]


@pytest.mark.slow
async def test_two_servers_run_one_after_another_on_this_machine(tmp_path: Path) -> None:
    flags = ("--models", models(), "--alternate", "serial", "--replicates", "2", "--out", "out")
    done = await run("compare", *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "one after another" in done.err
    assert "models taking turns" in done.err
    assert arms_in_order(tmp_path / "out") == ["tiny-s", "tiny-m"]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["schedule"] == "serial"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["schedule"] == "serial"
    assert "isolated" in done.err, "and said aloud"


@pytest.mark.slow
async def test_vllm_servers_end_before_the_next_is_started(tmp_path: Path) -> None:
    script = fake_vllm(tmp_path)
    flags = ("--models", models(), "--hardware", "cpu", "--vllm", script, "--alternate", "serial")
    done = await run("compare", *flags, "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    steps = [
        line.split()[:2] for line in done.err.splitlines() if " ready " in line or "stopped" in line
    ]
    assert steps == [
        *(["tiny-m", "ready"], ["tiny-m", "stopped"]),
        *(["tiny-s", "ready"], ["tiny-s", "stopped"]),
        *(["tiny-m", "ready"], ["tiny-m", "stopped"]),
    ]
    assert alive_in(tmp_path) == []


@pytest.mark.slow
async def test_servers_sleep_while_others_are_asked(tmp_path: Path) -> None:
    flags = ("--hardware", "colab_pro_t4", "--vllm", fake_vllm(tmp_path), "--alternate", "sleep")
    how_many = ("--replicates", "4", "--concurrency", "2", "--out", "out")
    known = weights_of("qwen2.5-3b", "qwen2.5-7b")
    done = await run("compare", *flags, *how_many, *known, cwd=tmp_path)
    assert done.code == 0, done.err
    assert arms_in_order(tmp_path / "out") == [
        *("qwen2.5-3b", "qwen2.5-7b"),
        *("qwen2.5-3b",),
    ]
    assert done.err.count(" ready ") == 2, "each is started once"
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["schedule"] == "sleep"
    assert alive_in(tmp_path) == []


@pytest.mark.slow
async def test_a_run_that_takes_turns_is_resumed_in_turns(tmp_path: Path) -> None:
    flags = ("--models", models(), "--alternate", "serial", "--max-turns", "2", "--out", "out")
    begun = await run("compare", *flags, cwd=tmp_path)
    assert begun.code == 4, begun.err
    done = await run("resume", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "one after another" in done.err
    assert arms_in_order(tmp_path / "out") == ["tiny-s", "tiny-m"]


@asynccontextmanager
async def sleepers(folder: Path) -> AsyncGenerator[tuple[Turns, dict[str, Endpoint]]]:
    ports = {"a": 0, "b": 0}

    @asynccontextmanager
    async def opener(model: str, log_dir: Path) -> AsyncGenerator[Endpoint]:
        start = make_start(folder, model, "--enable-sleep-mode")
        async with launch(
            [with_sleep(start)],
            log_dir=log_dir,
            state_dir=folder,
            tell=Told(),
            patience=PATIENCE,
            port=ports[model] or None,
        ) as (endpoint,):
            ports[model] = port_of(endpoint)
            yield endpoint

    turns = Turns(["a", "b"], opener, Sleeper(None))
    async with turns.open(folder / "logs") as endpoints:
        yield turns, {endpoint.model: endpoint for endpoint in endpoints}


def with_sleep(start: ServerStart) -> ServerStart:
    environment = {**start.environment, "VLLM_SERVER_DEV_MODE": "1"}
    return msgspec.structs.replace(start, environment=environment)


def port_of(endpoint: Endpoint) -> int:
    return urlsplit(endpoint.url).port or 0


def answers(endpoint: Endpoint) -> bool:
    try:
        complete_one_token(port_of(endpoint), endpoint.model, {}, within_s=10)
    except NoAnswerError:
        return False
    return True


async def test_one_answers_and_the_others_do_not(tmp_path: Path) -> None:
    async with sleepers(tmp_path) as (turns, endpoints):
        assert turns.awake == "a"
        assert [answers(endpoints[model]) for model in "ab"] == [True, False]
        await turns.take("b")
        assert [answers(endpoints[model]) for model in "ab"] == [False, True]
    assert alive_in(tmp_path) == []


async def test_a_server_that_died_in_its_sleep_is_started_again_at_its_turn(
    tmp_path: Path,
) -> None:
    async with sleepers(tmp_path) as (turns, endpoints):
        told = str(tmp_path / "b.json")
        for pid in alive_in(tmp_path):
            if told in " ".join(psutil.Process(pid).cmdline()):
                psutil.Process(pid).kill()
        await turns.take("b")
        assert answers(endpoints["b"])
        assert not answers(endpoints["a"])
    assert alive_in(tmp_path) == []


async def test_a_server_that_cannot_start_is_found_before_the_run_begins(tmp_path: Path) -> None:
    script = fake_vllm(tmp_path, fault="gated")
    flags = ("--models", models(), "--hardware", "cpu", "--vllm", script, "--alternate", "serial")
    done = await run("compare", *flags, "--out", "out", cwd=tmp_path)
    assert done.code == 3, done.err
    assert "gated" in done.err
    assert not (tmp_path / "out").exists()
    assert alive_in(tmp_path) == []
