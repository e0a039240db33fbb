"""Real servers: what they answer, and that nothing of them is left, however the use ends."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from servers.embedded.launcher import serve
from servers.embedded.model import EmbeddedModel
from tests.processes import children

_DEADLINE_S = 120.0

_PARENT = """
import asyncio, sys
from pathlib import Path
import psutil
from servers.embedded.launcher import serve
from servers.embedded.model import load_model

async def main():
    model = load_model("random", Path(sys.argv[1]))
    async with serve([model], log_dir=Path(sys.argv[2]), n_slots=2):
        print(*(child.pid for child in psutil.Process().children()), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def _wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _servers() -> set[psutil.Process]:
    return children()


@asynccontextmanager
async def _own_server(
    model: EmbeddedModel, logs: Path, deaths: list[str]
) -> AsyncGenerator[tuple[Endpoint, psutil.Process]]:
    """A server that the test may hurt."""
    before = _servers()

    def on_death(key: str, sentence: str) -> None:
        deaths.append(f"{key}: {sentence}")

    async with serve([model], log_dir=logs, n_slots=2, on_death=on_death) as (endpoint,):
        (process,) = _servers() - before
        yield endpoint, process


async def _ask(endpoint: Endpoint, **options: object) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": endpoint.served_model,
        "messages": [{"role": "user", "content": "the model"}],
        "max_tokens": 12,
        "temperature": 1.0,
        "seed": 1,
    }
    url = f"{endpoint.url}/chat/completions"
    async with aiohttp.ClientSession() as client, client.post(url, json=body | options) as reply:
        return await reply.json()


async def _text(endpoint: Endpoint, **options: object) -> str:
    reply = await _ask(endpoint, **options)
    return reply["choices"][0]["message"]["content"]


async def _is_refused(endpoint: Endpoint) -> bool:
    try:
        await _ask(endpoint)
    except aiohttp.ClientConnectorError:
        return True
    return False


async def test_the_endpoint_says_what_is_served(endpoint: Endpoint, checkpoint: Path) -> None:
    assert endpoint.model == endpoint.served_model == "random"
    assert endpoint.url.startswith("http://127.0.0.1:")
    assert endpoint.checkpoint == str(checkpoint)
    assert endpoint.max_model_len == 512


async def test_the_served_name_is_the_models_key(endpoint: Endpoint) -> None:
    url = f"{endpoint.url}/models"
    async with aiohttp.ClientSession() as client, client.get(url) as reply:
        listed = await reply.json()
    assert [entry["id"] for entry in listed["data"]] == ["random"]


async def test_the_same_seed_repeats_the_reply(endpoint: Endpoint) -> None:
    assert await _text(endpoint, seed=5) == await _text(endpoint, seed=5)


async def test_different_seeds_give_different_replies(endpoint: Endpoint) -> None:
    assert len({await _text(endpoint, seed=seed) for seed in range(4)}) > 1


async def test_a_reply_cut_by_its_limit_says_so(endpoint: Endpoint) -> None:
    reply = await _ask(endpoint, max_tokens=3)
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 3


async def test_a_reply_that_ends_by_itself_says_so(endpoint: Endpoint, checkpoint: Path) -> None:
    added = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    (end,) = (token["id"] for token in added if token["content"] == "<|im_end|>")
    reply = await _ask(endpoint, logit_bias={str(end): 1000})
    assert reply["choices"][0]["finish_reason"] == "stop"


async def test_a_prefix_that_was_seen_is_taken_from_the_cache(endpoint: Endpoint) -> None:
    messages = [{"role": "user", "content": "code prints layers " * 12}]
    first = await _ask(endpoint, messages=messages)
    messages += [
        first["choices"][0]["message"],
        {"role": "user", "content": "the code"},
    ]
    second = await _ask(endpoint, messages=messages)
    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached > first["usage"]["prompt_tokens"] * 0.9


async def test_too_long_a_prompt_is_refused_by_its_size(endpoint: Endpoint) -> None:
    reply = await _ask(endpoint, messages=[{"role": "user", "content": "x" * 3000}])
    assert reply["error"]["type"] == "exceed_context_size_error"
    assert reply["error"]["n_ctx"] == 512


async def test_more_requests_than_slots_wait_in_the_queue(endpoint: Endpoint) -> None:
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_ask(endpoint, seed=seed)) for seed in range(40)]
    assert all(task.result()["usage"]["completion_tokens"] > 0 for task in asked)


async def test_two_models_answer_at_once(model: EmbeddedModel, tmp_path: Path) -> None:
    other = EmbeddedModel(key="other", directory=model.directory, window_tokens=256)
    async with serve([model, other], log_dir=tmp_path, n_slots=2) as endpoints:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(_ask(endpoint)) for endpoint in endpoints]
        assert [task.result()["model"] for task in asked] == ["random", "other"]
        assert [endpoint.max_model_len for endpoint in endpoints] == [512, 256]


async def test_nothing_is_left_after_use(model: EmbeddedModel, tmp_path: Path) -> None:
    before = _servers()
    async with serve([model], log_dir=tmp_path, n_slots=2) as (endpoint,):
        assert _servers() > before
    assert _servers() == before
    assert await _is_refused(endpoint)


async def test_nothing_is_left_after_an_exception(model: EmbeddedModel, tmp_path: Path) -> None:
    before = _servers()
    with pytest.raises(RuntimeError, match="of the body"):
        async with serve([model], log_dir=tmp_path, n_slots=2):
            raise RuntimeError("of the body")
    assert _servers() == before


@pytest.mark.parametrize("delay_s", [0.0, 0.005, 0.05, 0.15, 0.3])
async def test_a_cancelled_start_leaves_nothing(
    delay_s: float, model: EmbeddedModel, tmp_path: Path
) -> None:
    before = _servers()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(delay_s), serve([model, model], log_dir=tmp_path, n_slots=2):
            await asyncio.Event().wait()
    _wait_until(lambda: _servers() == before)


async def test_a_server_that_dies_is_reported(model: EmbeddedModel, tmp_path: Path) -> None:
    deaths: list[str] = []
    async with _own_server(model, tmp_path, deaths) as (endpoint, process):
        process.kill()
        async with asyncio.timeout(_DEADLINE_S):
            while not deaths:
                await asyncio.sleep(0.02)
        assert await _is_refused(endpoint)
    assert "random: " in deaths[0]
    assert "ended by signal 9" in deaths[0]
    assert str(tmp_path / "random.log") in deaths[0]


async def test_an_ordinary_end_is_not_reported_as_a_death(
    model: EmbeddedModel, tmp_path: Path
) -> None:
    deaths: list[str] = []
    async with _own_server(model, tmp_path, deaths):
        pass
    assert not deaths


@pytest.mark.slow
async def test_a_stopped_process_is_killed_in_the_end(model: EmbeddedModel, tmp_path: Path) -> None:
    """A stopped process takes no SIGTERM: it stands for one that hangs."""
    before = _servers()
    async with _own_server(model, tmp_path, []) as (_endpoint, process):
        process.suspend()
    assert _servers() == before


async def test_a_log_that_cannot_be_written_is_said_with_what_to_do(
    model: EmbeddedModel, tmp_path: Path
) -> None:
    (tmp_path / "random.log").mkdir()
    with pytest.raises(NotReadyError, match=r"random\.log: .*cannot be written \(.+\).*--logs"):
        async with serve([model], log_dir=tmp_path):
            pass


async def test_a_damaged_file_is_refused_before_anything_starts(
    model: EmbeddedModel, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(model.directory, tmp_path / "copy"))
    gguf = copy / "model.gguf"
    gguf.write_bytes(gguf.read_bytes()[:-1000])
    damaged = EmbeddedModel(key="damaged", directory=copy, window_tokens=512)
    with pytest.raises(NotReadyError, match=r"'damaged'.*model\.gguf.*cut off.*Remedy"):
        async with serve([model, damaged], log_dir=tmp_path):
            pass
    assert not (tmp_path / "damaged.log").exists()


async def test_a_server_that_cannot_start_shows_the_end_of_its_log(
    model: EmbeddedModel, tmp_path: Path
) -> None:
    """The header is whole, but the weights are of no architecture that llama.cpp knows."""
    copy = Path(shutil.copytree(model.directory, tmp_path / "copy"))
    gguf = copy / "model.gguf"
    gguf.write_bytes(gguf.read_bytes().replace(b"qwen2", b"nonet"))
    unknown = EmbeddedModel(key="unknown", directory=copy, window_tokens=512)
    with pytest.raises(NotReadyError, match=r"(?s)'unknown'.*exit code 1.*unknown\.log.*nonet"):
        async with serve([unknown], log_dir=tmp_path):
            pass


async def test_a_server_that_is_late_is_given_up(model: EmbeddedModel, tmp_path: Path) -> None:
    before = _servers()
    with pytest.raises(NotReadyError, match=r"not ready after 0\.001 s"):
        async with serve([model], log_dir=tmp_path, start_s=0.001):
            pass
    _wait_until(lambda: _servers() == before)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_death_of_the_parent_ends_the_servers(
    number: signal.Signals, model: EmbeddedModel, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _PARENT, str(model.directory), str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.send_signal(number)
    assert len(pids) == 1
    _wait_until(lambda: all(_is_gone(pid) for pid in pids))


async def test_a_server_gets_the_environment_without_secrets(
    model: EmbeddedModel, tmp_path: Path
) -> None:
    before = _servers()
    inherited = {"PATH": "/bin", "GITHUB_PAT": "secret", "HF_TOKEN": "secret"}
    async with serve([model], log_dir=tmp_path, inherited=inherited):
        (child,) = _servers() - before
        assert child.environ() == {"PATH": "/bin"}
