"""What an endpoint serves, and every way in which asking it can fail."""

import ssl
from asyncio import StreamReader, StreamWriter

import msgspec
import pytest
from aiohttp import web

from engine.access import OPEN, Access
from engine.chat.discovery import resolve
from engine.endpoint import Endpoint
from engine.errors import NotReadyError, UsageError
from tests.chat.answering import answering, listening
from tests.chat.asking import KEY, make_endpoint
from tests.faults.authority import make_authority
from tests.faults.server import FaultyServer, serving

LLAMA_CPP = {"data": [{"id": "/m/a.gguf", "aliases": ["served-model"], "meta": {"n_ctx": 512}}]}
OLD_LLAMA_CPP = {"data": [{"id": "served-model", "meta": {"n_ctx_train": 4096}}]}
OPEN_ROUTER = {"data": [{"id": "served-model", "context_length": 32_000}]}
BARE = {"data": [{"id": "served-model"}]}


async def _silent(reader: StreamReader, _writer: StreamWriter) -> None:
    await reader.read()


async def _greeting(_reader: StreamReader, writer: StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server context with a certificate of an authority that nobody knows."""
    return make_authority(tmp_path_factory.mktemp("tls")).server


async def test_the_window_of_vllm_is_taken_over() -> None:
    async with serving(server=FaultyServer(window_tokens=2048)) as server:
        found = await resolve(make_endpoint(server.url), access=OPEN)
    assert found == Endpoint(
        model="small", url=server.url, served_model="served-model", max_model_len=2048
    )


@pytest.mark.parametrize(
    ("listed", "window"),
    [(LLAMA_CPP, 512), (OLD_LLAMA_CPP, 768), (OPEN_ROUTER, 32_000), (BARE, None)],
)
async def test_each_kind_of_server_states_its_window_elsewhere(
    listed: object, window: int | None
) -> None:
    async with answering(web.json_response(listed)) as url:
        assert (await resolve(make_endpoint(url), access=OPEN)).max_model_len == window


async def test_a_list_that_is_nested_without_end_is_no_list() -> None:
    nested = web.Response(body=b'{"data":' + b"[" * 9_000, content_type="application/json")
    async with answering(nested) as url:
        with pytest.raises(NotReadyError):
            await resolve(make_endpoint(url), access=OPEN)


async def test_a_model_that_is_not_served_gets_what_is_and_the_nearest() -> None:
    async with serving(server=FaultyServer(served=("tiny-0.6m", "tiny-2m"))) as server:
        with pytest.raises(UsageError, match="does not serve 'tiny-2'") as caught:
            await resolve(make_endpoint(server.url, served_model="tiny-2"), access=OPEN)
    assert "It serves: tiny-0.6m, tiny-2m. Did you mean 'tiny-2m'?" in str(caught.value)
    assert f"--endpoint small={server.url}#tiny-2m" in str(caught.value)


async def test_a_server_that_serves_nothing_is_said_to() -> None:
    async with serving(server=FaultyServer(served=())) as server:
        with pytest.raises(UsageError, match="It serves: nothing"):
            await resolve(make_endpoint(server.url), access=OPEN)


async def test_a_long_list_of_models_is_cut() -> None:
    served = tuple(f"m{place}" for place in range(300))
    async with serving(server=FaultyServer(served=served)) as server:
        with pytest.raises(UsageError, match="and 292 more"):
            await resolve(make_endpoint(server.url), access=OPEN)


async def test_a_refused_key_names_its_variable() -> None:
    async with serving(server=FaultyServer(key="another")) as server:
        with pytest.raises(NotReadyError, match="key in OPENAI_API_KEY is refused") as caught:
            await resolve(make_endpoint(server.url), access=Access(key=KEY))
    assert KEY not in str(caught.value)


async def test_a_missing_key_names_its_variable() -> None:
    async with serving(server=FaultyServer(key="another")) as server:
        with pytest.raises(NotReadyError, match="OPENAI_API_KEY is not set"):
            await resolve(make_endpoint(server.url), access=OPEN)


async def test_a_server_that_is_down_is_asked_for() -> None:
    with pytest.raises(NotReadyError, match="Is the server started") as caught:
        await resolve(make_endpoint("http://127.0.0.1:1/v1"), access=OPEN)
    assert "GET http://127.0.0.1:1/v1/models failed" in str(caught.value)


@pytest.mark.parametrize(
    "host",
    ["256.1.1.1", "h" * 70, f"{'h' * 70}.example", "a..b", "xn--\u00f6"],
    ids=["no IPv4", "long", "long part", "empty part", "no IDNA"],
)
async def test_an_address_that_no_server_can_have_is_named_with_its_endpoint(host: str) -> None:
    with pytest.raises(NotReadyError, match="Is the server started, and are host and") as caught:
        await resolve(make_endpoint(f"http://{host}/v1"), access=OPEN)
    assert "endpoint 'small'" in str(caught.value)
    assert f"http://{host}/v1" in str(caught.value)


async def test_a_server_that_does_not_answer_ends_the_wait() -> None:
    async with listening(_silent) as address:
        with pytest.raises(NotReadyError, match=r"not answered within 0\.2 s"):
            await resolve(make_endpoint(f"http://{address}/v1"), access=OPEN, within_s=0.2)


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="<html><title>Welcome</title></html>", content_type="text/html"),
        web.Response(status=404, text='{"detail":"Not Found"}'),
        web.Response(text='{"object":"list"}'),
        web.Response(text="[1, 2]"),
        web.Response(text=""),
        web.Response(status=302, headers={"Location": "/login"}),
    ],
    ids=["html", "404", "no data", "a list", "nothing", "redirect"],
)
async def test_what_is_no_openai_server_is_said_to_be_none(answer: web.Response) -> None:
    async with answering(answer) as url:
        with pytest.raises(NotReadyError, match="no OpenAI-compatible server"):
            await resolve(make_endpoint(url), access=OPEN)


async def test_a_chat_template_without_system_messages_is_found_and_the_remedy_named() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"data": [{"id": "served-model"}]})
        if any(each["role"] == "system" for each in (await request.json())["messages"]):
            return web.json_response({"message": "System role not supported"}, status=400)
        return web.json_response({"choices": [{"message": {"content": "Hi"}}]})

    async with answering(answer) as url:
        endpoint = make_endpoint(url)
        with pytest.raises(NotReadyError, match=r"system_role = false under \[endpoints\.small\]"):
            await resolve(endpoint, access=Access(key=KEY))
        without = msgspec.structs.replace(endpoint, has_system_role=False)
        assert await resolve(without, access=Access(key=KEY)) == without


async def test_a_server_that_is_loading_is_not_ready() -> None:
    async with answering(web.Response(status=503, text='{"error":"Loading model"}')) as url:
        with pytest.raises(NotReadyError, match="not ready; try again later"):
            await resolve(make_endpoint(url), access=OPEN)


async def test_another_protocol_is_told_from_a_dead_port() -> None:
    async with listening(_greeting) as address:
        with pytest.raises(NotReadyError, match="does not answer as HTTP"):
            await resolve(make_endpoint(f"http://{address}/v1"), access=OPEN)


async def test_https_to_a_plain_port_says_http() -> None:
    async with serving() as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(NotReadyError, match=f"plain HTTP, write {server.url}"):
            await resolve(make_endpoint(url), access=OPEN)


async def test_http_to_a_tls_port_says_https(tls: ssl.SSLContext) -> None:
    async with listening(_greeting, tls=tls) as address:
        with pytest.raises(NotReadyError, match=f"TLS, write https://{address}/v1"):
            await resolve(make_endpoint(f"http://{address}/v1"), access=OPEN)


async def test_a_certificate_that_is_not_trusted_is_named(tls: ssl.SSLContext) -> None:
    async with listening(_greeting, tls=tls) as address:
        with pytest.raises(NotReadyError, match="certificate is not trusted"):
            await resolve(make_endpoint(f"https://{address}/v1"), access=OPEN)
