"""What a served backend sends, keeps and closes."""

import asyncio
import gzip
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from engine.access import OPEN, Access
from engine.chat import ChatBackend
from engine.chat.patience import Patience
from engine.chat.served import open_backend
from engine.errors import ChatError, UsageError
from tests.chat.answering import Answer, answering
from tests.chat.asking import KEY, Asking, Pauses, asking, make_endpoint, make_request
from tests.faults.asks import always, mixed
from tests.faults.faults import Fault
from tests.faults.server import FaultyServer, serving


async def _ask_many(case: Asking, n_requests: int) -> int:
    """Return how many of `n_requests` at once were answered."""
    n_answered = 0

    async def ask(seed: int) -> None:
        nonlocal n_answered
        try:
            await case.backend.complete(make_request(seed=seed))
        except ChatError:
            return
        n_answered += 1

    async with asyncio.TaskGroup() as group:
        for seed in range(n_requests):
            group.create_task(ask(seed))
    return n_answered


async def test_a_request_carries_all_that_shapes_the_reply() -> None:
    request = make_request("one", "two", 'three "quoted"\n\u2603', seed=7, max_tokens=33)
    async with asking() as case:
        await case.backend.complete(request)
    body = case.server.asks[0].body
    assert (body.model, body.seed, body.max_tokens) == ("served-model", 7, 33)
    assert (body.temperature, body.top_p) == (0.7, 0.9)
    assert body.messages == request.conversation.messages


async def test_a_completion_carries_text_usage_and_times() -> None:
    before = time.time()
    async with asking() as case:
        completion = await case.backend.complete(make_request())
    assert completion.text.startswith("reply-0")
    assert completion.usage.prompt_tokens > completion.usage.cached_tokens > 0
    assert completion.usage.completion_tokens > 0
    assert before <= completion.sent <= completion.received <= time.time()


async def test_cancelling_aborts_the_request_at_the_server() -> None:
    async with asking(always(Fault.HANG)) as case:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(case.backend.complete(make_request()))
            await case.server.until_in_flight(1)
            task.cancel()
        await case.server.until_in_flight(0)
    assert task.cancelled()


async def test_closing_the_backend_closes_its_connections() -> None:
    async with serving() as server:
        async with open_backend(make_endpoint(server.url), access=OPEN) as backend:
            await backend.complete(make_request())
            assert server.n_connections
        while server.n_connections:
            await asyncio.sleep(0.01)


def compressed(body: bytes) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    return answer


async def test_answers_that_a_gateway_compresses_are_read() -> None:
    whole = gzip.compress(b'{"choices": [{"message": {"content": "Hi"}}]}')
    async with (
        answering(compressed(whole)) as url,
        open_backend(make_endpoint(url), access=OPEN) as backend,
    ):
        replies = [await backend.complete(make_request(seed=seed)) for seed in range(3)]
    assert [reply.text for reply in replies] == ["Hi"] * 3


async def test_an_answer_that_cannot_be_decompressed_is_asked_for_again() -> None:
    damaged = gzip.compress(b'{"choices": [{"message": {"content": "Hi"}}]}')[:-9] + b"x" * 9
    pauses = Pauses()
    async with (
        answering(compressed(damaged)) as url,
        open_backend(
            make_endpoint(url), access=OPEN, sleep=pauses.sleep, clock=pauses.clock
        ) as backend,
    ):
        for _ in range(2):
            with pytest.raises(ChatError, match=r"no answer.*asked 8 times"):
                await backend.complete(make_request())


async def test_an_error_without_a_code_in_an_answer_is_asked_again() -> None:
    pauses = Pauses()

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "overloaded", "code": "busy"}})

    async with (
        answering(answer) as url,
        open_backend(
            make_endpoint(url), access=OPEN, sleep=pauses.sleep, clock=pauses.clock
        ) as backend,
    ):
        with pytest.raises(ChatError, match="asked 8 times"):
            await backend.complete(make_request())


async def test_a_connection_is_used_again() -> None:
    async with asking() as case:
        for seed in range(9):
            await case.backend.complete(make_request(seed=seed))
        assert case.server.n_connections <= 2, "one for requests, one for a look at the metrics"


async def test_five_hundred_requests_are_in_flight_at_once() -> None:
    async with asking(always(Fault.HANG)) as case, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(case.backend.complete(make_request(seed=seed))) for seed in range(500)
        ]
        await case.server.until_in_flight(500)
        for task in tasks:
            task.cancel()


@pytest.mark.slow
async def test_a_tenth_of_mixed_faults_at_three_hundred_at_once_loses_nothing() -> None:
    kinds = (Fault.RATE_LIMIT, Fault.SERVER_ERROR, Fault.RESET, Fault.INVALID_JSON, Fault.HTML)
    plan = mixed(dict.fromkeys(kinds, 0.02))
    async with asking(plan) as case:
        assert await _ask_many(case, 300) == 300
    assert len(case.server.asks) > 300


async def test_request_starts_are_capped_per_second() -> None:
    async with asking(requests_per_s=20.0) as case:
        began = time.monotonic()
        await _ask_many(case, 41)
        assert time.monotonic() - began >= 2.0


async def test_a_cap_below_one_per_second_is_kept() -> None:
    async with asking(requests_per_s=0.8) as case:
        began = time.monotonic()
        await _ask_many(case, 2)
        assert time.monotonic() - began >= 1.25


async def test_a_proxy_in_the_environment_is_not_used_for_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with asking() as case:
        assert (await case.backend.complete(make_request())).text


async def test_a_proxy_in_the_environment_is_used_for_other_hosts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    endpoint = make_endpoint("http://models.invalid/v1")
    async with open_backend(endpoint, access=OPEN, patience=Patience(attempts=1)) as backend:
        with pytest.raises(ChatError, match=r"127\.0\.0\.1:1\b"):
            await backend.complete(make_request())


async def test_a_host_that_the_environment_excepts_is_reached_without_its_proxy(
    monkeypatch: pytest.MonkeyPatch, refused_hosts: list[str]
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "other.invalid,models.invalid")
    endpoint = make_endpoint("http://models.invalid/v1")
    async with open_backend(endpoint, access=OPEN, patience=Patience(attempts=1)) as backend:
        with pytest.raises(ChatError):
            await backend.complete(make_request())
    assert refused_hosts == ["socket.getaddrinfo to 'models.invalid'"]
    refused_hosts.clear()


@asynccontextmanager
async def behind_a_proxy(
    patch: pytest.MonkeyPatch, key: str | None, login: str = ""
) -> AsyncGenerator[tuple[FaultyServer, ChatBackend]]:
    """Open a backend whose requests go to a proxy of the environment, which answers them itself."""
    async with serving() as server:
        address = server.url.removeprefix("http://").removesuffix("/v1")
        patch.setenv("http_proxy", f"http://{login}{address}")
        endpoint = make_endpoint("http://models.invalid/v1")
        async with open_backend(endpoint, access=Access(key=key)) as backend:
            yield server, backend


async def test_a_login_in_the_url_of_a_proxy_is_shown_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with behind_a_proxy(monkeypatch, None, "me:secret@") as (server, backend):
        await backend.complete(make_request())
    assert server.asks[0].headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize(("key", "shown"), [(None, None), (KEY, f"Bearer {KEY}")])
async def test_logins_of_other_programs_are_not_shown(
    key: str | None, shown: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine models.invalid login me password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with behind_a_proxy(monkeypatch, key) as (server, backend):
        await backend.complete(make_request())
    assert server.asks[0].authorization == shown


async def test_a_server_that_is_down_is_transient_and_named() -> None:
    endpoint = make_endpoint("http://127.0.0.1:1/v1")
    async with open_backend(endpoint, access=OPEN, patience=Patience(attempts=1)) as backend:
        with pytest.raises(ChatError, match="Connect call failed") as caught:
            await backend.complete(make_request())
    assert caught.value.is_transient
    assert caught.value.status is None


async def test_settings_of_other_programs_in_the_environment_are_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-program")
    async with asking(key=None) as case:
        await case.backend.complete(make_request())
    assert case.server.asks[0].authorization is None


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "cl\u00e9"])
async def test_a_key_that_cannot_be_sent_is_a_usage_error_that_hides_it(key: str) -> None:
    with pytest.raises(UsageError, match="OPENAI_API_KEY") as caught:
        async with open_backend(make_endpoint("http://127.0.0.1:1/v1"), access=Access(key=key)):
            pass
    assert key not in str(caught.value)


async def test_messages_of_the_library_do_not_show_the_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    async with asking() as case:
        await case.backend.complete(make_request())
    assert KEY not in caplog.text
