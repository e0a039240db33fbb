"""Remote endpoints over TLS, as a lab has them: through trouble to the end, and every mistake."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from engine.events import CompletionReceived, RequestRepeated
from engine.manifest import read_manifest
from tests.cli.program import (
    WEIGHTS,
    WITHIN_S,
    endpoint,
    events_of,
    outcome,
    program,
    run,
    until_recorded,
)
from tests.faults.asks import PROPERLY, Ask, Plan, mixed, steps
from tests.faults.authority import Authority, make_authority
from tests.faults.faults import Fault
from tests.faults.server import FaultyServer, held_port, serving

KEY = "sk-lab-not-for-anybody-0815"
GATEWAY_KEY = "gateway-not-for-anybody-4711"
ONE_LOOK = 4
"""Connections of two arms: aiohttp opens a second one where the first is closed on it."""


def n_repeated(run_dir: Path) -> int:
    return sum(isinstance(event, RequestRepeated) for event in events_of(run_dir))


def n_connections(server: FaultyServer) -> int:
    assert server.listening is not None
    return server.listening.n_accepted


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    monkeypatch.setenv("GATEWAY_KEY", GATEWAY_KEY)


@asynccontextmanager
async def lab(
    authority: Authority, plan: Plan = PROPERLY, port: int = 0
) -> AsyncGenerator[FaultyServer]:
    """A lab's server: TLS by its own authority, a key, a header."""
    server = FaultyServer(plan=plan, reply=steps, window_tokens=32_768, key=KEY)
    async with serving(server=server, tls=authority.server, port=port) as started:
        yield started


def configured(folder: Path, at: str, authority: Authority, **changes: str) -> tuple[str, ...]:
    """Write a configuration with two arms at the URL `at`; return the flags that name it."""
    fields = {
        "url": at,
        "model": "served-model",
        "checkpoint": str(WEIGHTS),
        "key_env": "LAB_KEY",
        "ca_file": str(authority.ca_file),
    } | changes
    lines = [f'{name} = "{value}"' for name, value in fields.items() if value]
    table = "\n".join([*lines, 'headers = { X-Gateway-Key = "$GATEWAY_KEY" }'])
    text = f"[endpoints.a]\n{table}\n[endpoints.b]\n{table}\n"
    (folder / "lab.toml").write_text(text)
    return ("--config", "lab.toml", "--out", "out")


def places_of(secret: str, folder: Path) -> list[str]:
    """Return the files below `folder` that have the secret in them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if secret.encode() in path.read_bytes()]


def troubled(ask: Ask) -> Fault:
    """429 to the first attempt of every other turn, and now and then something worse."""
    if ask.attempt == 0 and ask.turn % 2:
        return Fault.BRIEF_RATE_LIMIT
    return mixed({Fault.RESET: 0.1, Fault.UNAVAILABLE: 0.1})(ask)


@pytest.fixture
def own_port() -> Iterator[int]:
    with held_port() as port:
        yield port


async def test_a_run_comes_through_refusals_and_an_outage_with_nothing_lost(
    authority: Authority, own_port: int, tmp_path: Path
) -> None:
    async with lab(authority, troubled, own_port) as server:
        flags = configured(tmp_path, server.url, authority)
        server.latency_s = 2.0
        async with program(*flags, "--replicates", "3", cwd=tmp_path) as process:
            async with asyncio.timeout(WITHIN_S):
                await until_recorded(tmp_path / "out", 12)
                argv = " ".join(psutil.Process(process.pid).cmdline())
                assert server.runner is not None
                before = n_repeated(tmp_path / "out")
                await server.runner.cleanup()  # the outage
                while n_repeated(tmp_path / "out") < before + 2:
                    await asyncio.sleep(0.02)
                server.latency_s = 0.0
                async with serving(server=server, tls=authority.server, port=own_port):
                    done = await outcome(process)
    assert done.code == 0, done.err
    replies = [e for e in events_of(tmp_path / "out") if isinstance(e, CompletionReceived)]
    assert len(replies) == len({(e.investigation, e.turn) for e in replies}) == 2 * 3 * 5
    assert "| left out (infrastructure) | 0 | 0 |" in done.out
    assert {ask.headers.get("x-gateway-key") for ask in server.asks} == {GATEWAY_KEY}
    for secret in (KEY, GATEWAY_KEY):
        assert not places_of(secret, tmp_path)
        assert secret not in done.out + done.err + argv


async def test_the_manifest_names_the_variables_and_a_resume_needs_no_flag(
    authority: Authority, tmp_path: Path
) -> None:
    async with lab(authority) as server:
        flags = configured(tmp_path, server.url, authority)
        first = await run(*flags, "--max-turns", "3", cwd=tmp_path)
        assert first.code == 4, first.err
        (tmp_path / "lab.toml").unlink()
        done = await run("resume", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    arm = read_manifest(tmp_path / "out").arms[0]
    assert (arm.key_variable, arm.headers) == ("LAB_KEY", {"X-Gateway-Key": "$GATEWAY_KEY"})
    assert arm.is_given


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"key_env": "OTHER_KEY"}, 3, ["OTHER_KEY", "refused"]),
        ({"key_env": "ABSENT_KEY"}, 3, ["ABSENT_KEY", "not set"]),
        ({"model": "served-mode"}, 2, ["'served-mode'", "Did you mean 'served-model'?"]),
        ({"url": "{base}/api/openai"}, 3, ["/api/openai", "404", "Did you mean {base}/v1?"]),
        ({"url": "{plain}/v1"}, 3, ["https://"]),
        ({"ca_file": ""}, 3, ["certificate is not trusted", "ca_file"]),
        ({"ca_file": "absent.pem"}, 2, ["absent.pem"]),
    ],
    ids=["wrong key", "no key", "wrong model", "wrong path", "http", "untrusted", "no ca file"],
)
async def test_a_mistake_is_one_readable_error_at_the_first_look(
    changes: dict[str, str],
    code: int,
    words: list[str],
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTHER_KEY", "sk-another-0000")
    async with lab(authority) as server:
        base = server.url.removesuffix("/v1")
        names = {"base": base, "plain": base.replace("https", "http")}
        filled = {name: value.format(**names) for name, value in changes.items()}
        flags = configured(tmp_path, server.url, authority, **filled)
        done = await run(*flags, cwd=tmp_path)
    assert done.code == code, done.err
    assert n_connections(server) <= ONE_LOOK
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.err
    assert "Traceback" not in done.err
    assert not [word for word in words if word.format(**names) not in errors[0]], errors[0]
    assert KEY not in done.err
    assert "sk-another" not in done.err
    assert not (tmp_path / "out").exists()


async def test_tls_to_a_plain_port_is_said(authority: Authority, tmp_path: Path) -> None:
    async with endpoint() as server:
        url = server.url.replace("http://", "https://")
        done = await run(*configured(tmp_path, url, authority), cwd=tmp_path)
    assert done.code == 3, done.err
    assert 0 < n_connections(server) <= ONE_LOOK
    assert f"plain HTTP, write {server.url}" in done.err


async def test_a_certificate_that_is_not_verified_is_said_aloud(
    authority: Authority, tmp_path: Path
) -> None:
    async with lab(authority) as server:
        flags = configured(tmp_path, server.url, authority, ca_file="")
        text = (tmp_path / "lab.toml").read_text()
        (tmp_path / "lab.toml").write_text(text.replace("key_env", "verify_tls = false\nkey_env"))
        done = await run(*flags, cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.err.count("WARNING: endpoint") == 2
    assert not read_manifest(tmp_path / "out").arms[0].is_tls_verified


async def test_a_remote_and_a_local_model_are_compared(
    authority: Authority, tmp_path: Path
) -> None:
    async with lab(authority) as server:
        flags = configured(tmp_path, server.url, authority)
        done = await run("compare", "--models", "tiny-s,a", *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "tiny-s | a |" in done.out
    arms = {arm.model: arm for arm in read_manifest(tmp_path / "out").arms}
    assert (arms["a"].is_given, arms["tiny-s"].is_given) == (True, False)
    assert arms["a"].max_model_len == 32_768


async def test_an_interrupted_run_with_both_kinds_is_taken_up_with_both(
    authority: Authority, tmp_path: Path
) -> None:
    async with lab(authority) as server:
        flags = (*configured(tmp_path, server.url, authority), "--max-turns", "2")
        first = await run("compare", "--models", "a,tiny-s", *flags, cwd=tmp_path)
        assert first.code == 4, first.err
        done = await run("resume", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "starting llama.cpp servers for tiny-s" in done.err


@pytest.mark.slow
async def test_a_first_token_that_takes_longer_than_the_look_is_waited_for(
    authority: Authority, tmp_path: Path
) -> None:
    async with lab(authority) as server:
        server.latency_s = 9.0
        flags = (*configured(tmp_path, server.url, authority), "--max-turns", "1")
        async with program(*flags, cwd=tmp_path) as process, asyncio.timeout(WITHIN_S):
            await until_recorded(tmp_path / "out", 4)
            server.latency_s = 0.0
            done = await outcome(process)
    assert done.code == 4, done.err
    assert len(server.asks) == 4, "a look and a turn of each arm"
