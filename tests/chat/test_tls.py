"""Endpoints behind TLS, custom headers and proxies: whom is trusted, and what is sent."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from engine.access import Access
from engine.chat.discovery import resolve
from engine.chat.served import open_backend
from engine.endpoint import Endpoint
from engine.errors import ChatError, NotReadyError, UsageError
from tests.chat.answering import answering, listening
from tests.chat.asking import KEY, make_endpoint, make_request
from tests.faults.asks import always
from tests.faults.authority import Authority, make_authority
from tests.faults.faults import Fault
from tests.faults.server import FaultyServer, serving

SECRET = "gateway-secret-8842"
ACCESS = Access(key=KEY, headers={"X-Gateway-Key": SECRET}, secrets=(SECRET,))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


def trusting(url: str, authority: Authority) -> Endpoint:
    return msgspec.structs.replace(make_endpoint(url), ca_file=str(authority.ca_file))


async def test_an_authority_of_ones_own_is_trusted(authority: Authority) -> None:
    async with serving(server=FaultyServer(key=KEY), tls=authority.server) as server:
        found = await resolve(trusting(server.url, authority), access=ACCESS)
        async with open_backend(found, access=ACCESS) as backend:
            reply = await backend.complete(make_request())
    assert reply.text
    assert found.max_model_len == 8192


async def test_without_it_nothing_is_sent(authority: Authority) -> None:
    async with serving(tls=authority.server) as server:
        with pytest.raises(
            NotReadyError, match="not trusted here; name its authority's by ca_file"
        ):
            await resolve(make_endpoint(server.url), access=ACCESS)
        assert not server.asks


async def test_another_authority_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    other = make_authority(tmp_path)
    async with serving(tls=authority.server) as server:
        with pytest.raises(NotReadyError, match="not trusted"):
            await resolve(trusting(server.url, other), access=ACCESS)


async def test_verification_is_off_where_it_is_written_down(authority: Authority) -> None:
    async with serving(tls=authority.server) as server:
        endpoint = msgspec.structs.replace(make_endpoint(server.url), is_tls_verified=False)
        assert (await resolve(endpoint, access=ACCESS)).max_model_len


@pytest.mark.parametrize("text", [None, "", "no certificate"])
async def test_a_ca_file_that_holds_none_is_named(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    endpoint = msgspec.structs.replace(make_endpoint("https://127.0.0.1:1/v1"), ca_file=str(path))
    with pytest.raises(UsageError, match=r"ca_file of endpoint 'small'.*ca\.pem"):
        await resolve(endpoint, access=ACCESS)


async def test_custom_headers_are_sent_with_every_request(authority: Authority) -> None:
    async with serving(tls=authority.server) as server:
        endpoint = trusting(server.url, authority)
        async with open_backend(endpoint, access=ACCESS) as backend:
            for text in ("short", "longer"):
                await backend.complete(make_request(text))
    heads = [ask.headers for ask in server.asks]
    assert len(heads) == 2
    for head in heads:
        assert head["x-gateway-key"] == SECRET
        assert head["authorization"] == f"Bearer {KEY}"


async def test_all_requests_have_the_head_that_the_client_stated_first() -> None:
    async with (
        serving() as server,
        open_backend(make_endpoint(server.url), access=ACCESS) as backend,
    ):
        for text in ("short", "longer", "short"):
            await backend.complete(make_request(text))
    first, *later = [dict(ask.headers) for ask in server.asks]
    sizes = [int(head.pop("content-length")) for head in (first, *later)]
    assert later == [first, first]
    assert sizes == [sizes[0], sizes[0] + 1, sizes[0]]


async def test_a_header_can_take_the_place_of_the_key() -> None:
    access = Access(key=KEY, headers={"Authorization": f"Basic {SECRET}"}, secrets=(SECRET,))
    async with (
        serving() as server,
        open_backend(make_endpoint(server.url), access=access) as backend,
    ):
        await backend.complete(make_request())
        assert server.asks[0].authorization == f"Basic {SECRET}"


async def test_a_refused_key_is_found_where_the_models_are_listed_to_all() -> None:
    async with serving(server=FaultyServer(key="another", lists_to_all=True)) as server:
        with pytest.raises(NotReadyError, match="key in OPENAI_API_KEY is refused"):
            await resolve(make_endpoint(server.url), access=ACCESS)


async def test_a_spent_account_is_found_before_the_run() -> None:
    async with serving(server=FaultyServer(plan=always(Fault.NO_CREDIT))) as server:
        with pytest.raises(NotReadyError, match="no credit left"):
            await resolve(make_endpoint(server.url), access=ACCESS)


async def test_a_busy_server_is_left_to_the_run() -> None:
    async with serving(server=FaultyServer(plan=always(Fault.RATE_LIMIT))) as server:
        assert (await resolve(make_endpoint(server.url), access=ACCESS)).max_model_len


async def test_a_slow_first_token_is_left_to_the_run() -> None:
    async with serving(server=FaultyServer(latency_s=600)) as server:
        found = await resolve(make_endpoint(server.url), access=ACCESS, within_s=5.0)
    assert found.max_model_len


async def test_a_base_url_that_is_nearly_right_is_put_right() -> None:
    async with serving() as server:
        wrong = server.url.removesuffix("/v1") + "/openai"
        with pytest.raises(NotReadyError, match=f"Did you mean {server.url}"):
            await resolve(make_endpoint(wrong), access=ACCESS)


async def test_secrets_that_a_server_repeats_are_hidden() -> None:
    async def echo(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": f"{KEY} and {SECRET} are not known"}, status=401)

    async with answering(echo) as url:
        with pytest.raises(NotReadyError, match=r"\[key\] and \[key\] are not known") as asked:
            await resolve(make_endpoint(url), access=ACCESS)
        async with open_backend(make_endpoint(url), access=ACCESS) as backend:
            with pytest.raises(ChatError) as refused:
                await backend.complete(make_request())
    for error in (asked, refused):
        assert KEY not in str(error.value)
        assert SECRET not in str(error.value)


def test_what_opens_an_endpoint_is_never_shown() -> None:
    assert SECRET not in repr(ACCESS)
    assert KEY not in f"{ACCESS}"


async def carry(reader: StreamReader, writer: StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def proxy(seen: list[str]) -> AsyncGenerator[str]:
    """A proxy that joins its clients with what they name by CONNECT; it ends when they have."""

    async def join(reader: StreamReader, writer: StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        seen.append(request.splitlines()[0])
        host, _, port = request.split()[1].rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        with closing(far_writer):  # one direction may break off and cancel the other
            async with asyncio.TaskGroup() as group:
                group.create_task(carry(reader, far_writer))
                group.create_task(carry(far_reader, writer))

    async with listening(join) as address:
        yield f"http://{address}"


async def test_a_proxy_that_is_named_carries_everything(authority: Authority) -> None:
    seen: list[str] = []
    async with serving(tls=authority.server) as server, proxy(seen) as url:
        endpoint = msgspec.structs.replace(trusting(server.url, authority), proxy=url)
        async with open_backend(endpoint, access=ACCESS) as backend:
            assert (await backend.complete(make_request())).text
    address = server.url.removeprefix("https://").removesuffix("/v1")
    assert set(seen) == {f"CONNECT {address} HTTP/1.1"}
