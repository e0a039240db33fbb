"""The launcher over real vLLM servers: GPTQ and AWQ weights, deaths, ends."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest

from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from servers.embedded.model import tiny_models
from servers.launch.values import ServerStart
from servers.launcher import launch
from tests.contracts.vllm.checkpoints import Method
from tests.contracts.vllm.pair import (
    Served,
    has_avx512,
    make_quantized_start,
    make_start,
    served,
)

pytestmark = [pytest.mark.vllm, pytest.mark.slow]


def ask(endpoint: Endpoint, n_tokens: int = 200) -> tuple[float, float, int]:
    """Have the model write so many tokens; return when it was asked, answered, and how many."""
    body = {
        "model": endpoint.served_model,
        "messages": [{"role": "user", "content": "Look at your own layers."}],
        "max_tokens": n_tokens,
        "ignore_eos": True,
    }
    asked = time.monotonic()
    answer = httpx2.post(f"{endpoint.url}/chat/completions", json=body, timeout=60)
    answer.raise_for_status()
    return asked, time.monotonic(), answer.json()["usage"]["completion_tokens"]


def processes_of(launcher: psutil.Process) -> list[psutil.Process]:
    return launcher.children(recursive=True)


def api_process(launcher: psutil.Process, model: str) -> psutil.Process:
    """The API process of one server: the keeper's child with vLLM's command line."""
    (found,) = (
        process
        for process in processes_of(launcher)
        if f"--served-model-name {model} " in " ".join(process.cmdline())
        and "keeper.py" not in " ".join(process.cmdline())
    )
    return found


def await_answer(endpoint: Endpoint, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            ask(endpoint, n_tokens=1)
        except httpx2.HTTPError:
            assert time.monotonic() < deadline, "it never answered again"
            time.sleep(0.5)
        else:
            return


def make_start_of(program: Path, folder: Path, method: Method) -> ServerStart:
    if has_avx512():
        return make_quantized_start(program, folder, method)
    return make_start(program, method, tiny_models()[0])


@pytest.mark.skipif(has_avx512(), reason="this processor computes 4-bit weights")
async def test_a_processor_without_4_bit_weights_is_named_with_the_remedy(
    vllm_program: Path, tmp_path: Path
) -> None:
    start = make_quantized_start(vllm_program, tmp_path, "awq")
    servers = launch([start], log_dir=tmp_path, state_dir=tmp_path, tell=lambda _: None)
    with pytest.raises(NotReadyError, match=r"(?s)no AVX-512.*--quantization fp16"):
        await servers.__aenter__()


@pytest.mark.timeout(900)
def test_servers_answer_together_survive_a_kill_and_leave_nothing(
    vllm_program: Path, tmp_path: Path
) -> None:
    """One story, for each start of a real server takes half a minute; quantised where they can."""
    starts = (
        make_start_of(vllm_program, tmp_path, "gptq"),
        make_start_of(vllm_program, tmp_path, "awq"),
    )
    with served(starts, tmp_path) as pair:
        with ThreadPoolExecutor() as pool:
            first, second = pool.map(ask, pair.endpoints)
        assert (first[2], second[2]) == (200, 200)
        assert max(first[0], second[0]) < min(first[1], second[1])

        launcher = psutil.Process(pair.launcher.pid)
        api_process(launcher, "gptq").kill()
        await_answer(pair.endpoints[1], within_s=5)
        await_answer(pair.endpoints[0], within_s=240)
        assert "gptq died" in pair.told

        left = processes_of(launcher)
        assert len(left) >= 8
        os.kill(pair.launcher.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(left, timeout=5)
        assert alive == []


@pytest.mark.timeout(900)
def test_sigterm_ends_launcher_and_servers_within_ten_seconds(
    vllm_program: Path, tmp_path: Path
) -> None:
    with served((make_start(vllm_program, "a", tiny_models()[0]),), tmp_path) as one:
        left = processes_of(psutil.Process(one.launcher.pid))
        one.launcher.terminate()
        one.launcher.wait(timeout=10)
        assert [process for process in left if process.is_running()] == []
    assert ask_fails(one)


def ask_fails(one: Served) -> bool:
    try:
        ask(one.endpoints[0])
    except httpx2.HTTPError:
        return True
    return False
