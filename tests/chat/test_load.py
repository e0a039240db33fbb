"""The load of a server: what its metrics tell, and when they are looked at."""

import asyncio
from dataclasses import dataclass

import pytest
from aiohttp import web

from engine.access import OPEN
from engine.chat.load import parse_load
from engine.chat.replica import Replica
from engine.chat.served import open_backend
from tests.chat.asking import make_endpoint, make_request
from tests.faults.server import FaultyServer, serving

RUNNING = 'vllm:num_requests_running{engine="%d"} %s\n'


def test_the_engines_of_a_server_are_added_up() -> None:
    load = parse_load(RUNNING % (0, "3.0") + RUNNING % (1, "4.0"), time_s=0.0)
    assert load is not None
    assert load.n_running == 7


def test_the_kv_caches_of_the_engines_of_a_server_are_taken_together() -> None:
    used = 'vllm:kv_cache_usage_perc{engine="%d"} %s\n'
    load = parse_load(used % (0, "0.75") + used % (1, "0.25"), time_s=0.0)
    assert load is not None
    assert load.kv_share == 0.5


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "abc", "1e300"])
def test_what_is_no_finite_number_is_passed_over(value: str) -> None:
    load = parse_load(RUNNING % (0, value) + RUNNING % (1, "4.0"), time_s=0.0)
    assert load is not None
    assert load.n_running == 4


def test_metrics_of_another_program_tell_no_load() -> None:
    assert parse_load("go_goroutines 12\n", time_s=0.0) is None


@dataclass(kw_only=True)
class Told(FaultyServer):
    """Tells its load in the words of a test, one after the other; the last one stays."""

    answers: tuple[tuple[int, str], ...]
    retry_after: str = "0"
    n_looks: int = 0

    async def metrics(self, _request: web.Request) -> web.StreamResponse:
        status, text = self.answers[min(self.n_looks, len(self.answers) - 1)]
        self.n_looks += 1
        return web.Response(status=status, text=text, headers={"Retry-After": self.retry_after})


async def test_metrics_that_are_no_numbers_do_not_end_the_run() -> None:
    server = Told(answers=((200, RUNNING % (0, "NaN")),))
    async with (
        serving(server=server),
        open_backend(make_endpoint(server.url), access=OPEN) as backend,
    ):
        await until_told(backend.replicas[0])
        assert (await backend.complete(make_request())).text


async def test_a_server_that_does_not_tell_its_load_at_first_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.chat.replica._LOOK_EVERY_S", 0.01)
    server = Told(answers=((503, "loading"), (200, RUNNING % (0, "5"))))
    async with (
        serving(server=server),
        open_backend(make_endpoint(server.url), access=OPEN) as backend,
    ):
        assert (await until_told(backend.replicas[0])) == 5


@pytest.mark.parametrize("status", [404, 501])
async def test_a_server_without_metrics_is_not_looked_at_again(status: int) -> None:
    server = Told(answers=((status, ""),))
    async with (
        serving(server=server),
        open_backend(make_endpoint(server.url), access=OPEN) as backend,
        asyncio.timeout(60),
    ):
        await backend.replicas[0].watch()


BUSY = RUNNING % (0, "4") + 'vllm:num_requests_waiting{engine="0"} 60\n'


@pytest.mark.parametrize("last", [(401, ""), (404, ""), (200, "go_goroutines 12")])
async def test_a_server_that_tells_its_load_no_more_is_sent_more_with_every_answer(
    last: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.chat.replica._LOOK_EVERY_S", 0.01)
    server = Told(answers=((200, BUSY), last))
    async with (
        serving(server=server),
        open_backend(make_endpoint(server.url), access=OPEN) as backend,
    ):
        replica = backend.replicas[0]
        await until_told(replica)
        async with asyncio.timeout(60):
            while replica.load is not None:
                await asyncio.sleep(0.001)
        lowered = replica.gate.limit
        await backend.complete(make_request())
        assert replica.gate.limit == lowered + 1


async def test_a_server_that_once_told_its_load_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.chat.replica._LOOK_EVERY_S", 0.01)
    server = Told(answers=((200, RUNNING % (0, "5")), (404, ""), (200, RUNNING % (0, "7"))))
    async with (
        serving(server=server),
        open_backend(make_endpoint(server.url), access=OPEN) as backend,
        asyncio.timeout(60),
    ):
        while await until_told(backend.replicas[0]) != 7:
            await asyncio.sleep(0.001)


async def test_a_date_of_no_calendar_beside_the_metrics_does_not_end_the_run() -> None:
    server = Told(
        answers=((200, RUNNING % (0, "5")),), retry_after="Mon, 01 Jan 99999999999 00:00:00 GMT"
    )
    async with (
        serving(server=server),
        open_backend(make_endpoint(server.url), access=OPEN) as backend,
    ):
        assert await until_told(backend.replicas[0]) == 5


async def until_told(replica: Replica) -> int:
    async with asyncio.timeout(60):
        while replica.load is None:
            await asyncio.sleep(0.001)
    return replica.load.n_running
