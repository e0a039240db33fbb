"""What the launcher promises: order, endpoints, restarts, and nothing left behind."""

import asyncio
import contextlib
import json
import os
import signal
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from servers.launch.measured import for_plan, read_starts
from servers.launch.values import Progress, ServerStart
from servers.launcher import launch
from tests.servers.launch.starts import PATIENCE, Told, alive_in, make_start


@asynccontextmanager
async def launched(
    folder: Path, *starts: ServerStart, told: Told | None = None
) -> AsyncGenerator[tuple[Endpoint, ...]]:
    async with launch(
        starts,
        log_dir=folder / "logs",
        state_dir=folder / "state",
        tell=told or Told(),
        patience=PATIENCE,
    ) as endpoints:
        yield endpoints


async def ask(endpoint: Endpoint) -> str:
    def post() -> str:
        body = {"model": endpoint.served_model, "messages": [{"role": "user", "content": "Hi"}]}
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{endpoint.url}/chat/completions", data=json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - loopback
            return json.load(answer)["choices"][0]["message"]["content"]

    return await asyncio.to_thread(post)


async def until_answer(endpoint: Endpoint) -> str:
    async with asyncio.timeout(120):
        while True:
            with contextlib.suppress(OSError):
                return await ask(endpoint)
            await asyncio.sleep(0.05)


def api_process(folder: Path, model: str) -> psutil.Process:
    """The first process of the fake server: the parent of its engine."""
    told = str(folder / f"{model}.json")
    pids = [pid for pid in alive_in(folder) if told in " ".join(psutil.Process(pid).cmdline())]
    (found,) = (
        pid
        for pid in pids
        if "keeper.py" not in " ".join(psutil.Process(pid).cmdline())
        and "keeper.py" in " ".join(psutil.Process(psutil.Process(pid).ppid()).cmdline())
    )
    return psutil.Process(found)


async def test_servers_start_one_after_another_in_the_order_given(tmp_path: Path) -> None:
    told = Told()
    starts = [make_start(tmp_path, name, start_s=0.2) for name in ("large", "small")]
    async with launched(tmp_path, *starts, told=told) as endpoints:
        assert [endpoint.model for endpoint in endpoints] == ["large", "small"]
    models = [step.model for step in told.steps if step.state != "stopped"]
    assert models == sorted(models, key=["large", "small"].index)


GATED = """
import sys, time
from pathlib import Path
from servers.fake_vllm import __main__ as fake

told, show = Path(sys.argv.pop(1)), fake._print
states = iter(("starting", "download", "load", "compile"))

def gated(text):
    show(text)
    state = next(states, None)
    while state and state not in told.read_text().split():
        time.sleep(0.02)

fake._print = gated
sys.exit(fake.main(sys.argv[1:]))
"""
"""The fake, which goes on with its start once the launcher has told of what it said."""


class Noted(Told):
    """Writes the states down too, for the fake to read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        path.write_text("")

    def __call__(self, step: Progress) -> None:
        super().__call__(step)
        self._path.write_text(" ".join(self.states()))


async def test_the_states_of_a_start_are_shown_with_time(tmp_path: Path) -> None:
    told, start = Noted(tmp_path / "told"), make_start(tmp_path)
    python, _, _, *words = start.argv
    gated = msgspec.structs.replace(
        start, argv=(python, "-c", GATED, str(tmp_path / "told"), *words)
    )
    async with launched(tmp_path, gated, told=told):
        pass
    assert told.states() == ["starting", "download", "load", "compile", "ready", "stopped"]
    elapsed = [step.elapsed_s for step in told.steps[:5]]
    assert elapsed == sorted(elapsed)


async def test_endpoints_answer_and_nothing_is_left_after(tmp_path: Path) -> None:
    starts = [make_start(tmp_path, name, reply=f"I am {name}") for name in ("a", "b")]
    async with launched(tmp_path, *starts) as endpoints:
        assert [await ask(endpoint) for endpoint in endpoints] == ["I am a", "I am b"]
        assert all(endpoint.url.startswith("http://127.0.0.1:") for endpoint in endpoints)
        assert len(alive_in(tmp_path)) == 8
    assert alive_in(tmp_path) == []


async def test_what_was_obtained_is_told_and_remembered(tmp_path: Path) -> None:
    told = Told()
    flags = ("--max-num-seqs", "32", "--max-num-batched-tokens", "2048")
    async with launched(tmp_path, make_start(tmp_path, "small", *flags), told=told):
        pass
    assert "65,536 tokens" in told.details("ready")
    (start,) = read_starts(tmp_path / "state" / "starts.jsonl")
    assert start.obtained.recommended_kv_bytes == 4187593113
    (measured,) = for_plan([start])
    assert measured.repo == "some/weights"
    assert measured.working_bytes == int(0.31 * 2**30) + int(0.22 * 2**30)


async def test_a_torn_line_of_remembered_starts_is_left_out(tmp_path: Path) -> None:
    async with launched(tmp_path, make_start(tmp_path)):
        pass
    path = tmp_path / "state" / "starts.jsonl"
    path.write_bytes(path.read_bytes() * 2 + b'{"model": "sm')
    assert len(read_starts(path)) == 2


async def test_a_failing_server_takes_those_before_it_along(tmp_path: Path) -> None:
    starts = (make_start(tmp_path, "a"), make_start(tmp_path, "b", fault="gated"))
    with pytest.raises(NotReadyError, match="gated"):
        async with launched(tmp_path, *starts):
            pytest.fail("it must not be entered")
    assert alive_in(tmp_path) == []


async def test_an_error_of_the_body_leaves_as_it_is_and_ends_the_servers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="of the body"):
        async with launched(tmp_path, make_start(tmp_path)):
            raise ValueError("of the body")
    assert alive_in(tmp_path) == []


async def test_cancelling_the_body_ends_the_servers(tmp_path: Path) -> None:
    entered = asyncio.Event()

    async def body() -> None:
        async with launched(tmp_path, make_start(tmp_path)):
            entered.set()
            await asyncio.sleep(600)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(body())
        await entered.wait()
        task.cancel()
    assert task.cancelled()
    assert alive_in(tmp_path) == []


async def test_cancelling_a_start_ends_the_server(tmp_path: Path) -> None:
    told = Told()

    async def body() -> None:
        async with launched(tmp_path, make_start(tmp_path, fault="chatter"), told=told):
            pytest.fail("it must not be entered")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(body())
        while "download" not in told.states():
            await asyncio.sleep(0.02)
        task.cancel()
    assert task.cancelled()
    assert alive_in(tmp_path) == []


async def test_a_server_that_ignores_sigterm_is_killed_with_its_family(tmp_path: Path) -> None:
    patience = 0.3
    async with launch(
        [make_start(tmp_path, ignores_term=True)],
        log_dir=tmp_path,
        state_dir=tmp_path,
        tell=Told(),
        patience=PATIENCE.__class__(poll_s=0.02, term_s=patience),
    ):
        assert len(alive_in(tmp_path)) == 4
    assert alive_in(tmp_path) == []


async def test_a_killed_server_is_restarted_at_the_same_address(tmp_path: Path) -> None:
    told = Told()
    starts = (make_start(tmp_path, "a", reply="still a"), make_start(tmp_path, "b"))
    async with launched(tmp_path, *starts, told=told) as endpoints:
        first = api_process(tmp_path, "a")
        first.kill()
        while "died" not in told.states("a"):
            await asyncio.sleep(0.02)
        assert await until_answer(endpoints[0]) == "still a"
        assert len(alive_in(tmp_path)) == 8
    assert told.states("b").count("ready") == 1


async def test_an_engine_that_dies_takes_its_server_along_and_is_restarted(tmp_path: Path) -> None:
    told = Told()
    async with launched(tmp_path, make_start(tmp_path), told=told) as endpoints:
        engine = api_process(tmp_path, "small").children()[0]
        engine.kill()
        while told.states().count("ready") < 2:
            await asyncio.sleep(0.02)
        assert await until_answer(endpoints[0])


async def test_a_server_that_keeps_dying_is_given_up_and_told(tmp_path: Path) -> None:
    told = Told()
    async with launched(tmp_path, make_start(tmp_path), told=told), asyncio.timeout(120):
        for n_starts in range(1, PATIENCE.n_restarts + 2):
            while told.states().count("ready") < n_starts:
                await asyncio.sleep(0.02)
            assert "lost" not in told.states()
            api_process(tmp_path, "small").kill()
        while "lost" not in told.states():
            await asyncio.sleep(0.02)
    assert told.states().count("ready") == 1 + PATIENCE.n_restarts
    assert alive_in(tmp_path) == []


async def test_a_killed_keeper_takes_its_server_along(tmp_path: Path) -> None:
    told = Told()
    async with launched(tmp_path, make_start(tmp_path), told=told) as endpoints:
        before = set(alive_in(tmp_path))
        os.kill(api_process(tmp_path, "small").ppid(), signal.SIGKILL)
        while told.states().count("ready") < 2:
            await asyncio.sleep(0.02)
        assert not before & set(alive_in(tmp_path))
        assert await ask(endpoints[0])


async def test_a_server_outlives_another_launch_of_the_same(tmp_path: Path) -> None:
    start = make_start(tmp_path)
    async with AsyncExitStack() as first:
        await first.enter_async_context(launched(tmp_path, start))
        async with launched(tmp_path, start) as (endpoint,):
            await first.aclose()
            assert await ask(endpoint)


async def test_a_start_that_cannot_be_remembered_is_told_and_the_server_stays(
    tmp_path: Path,
) -> None:
    (tmp_path / "state").write_text("in the way")
    told = Told()
    async with launched(tmp_path, make_start(tmp_path), told=told) as (endpoint,):
        assert await ask(endpoint)
    assert "starts.jsonl" in told.details("ready")
