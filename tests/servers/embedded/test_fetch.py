"""GGUF files from a hub: a real client, a real HTTP server on loopback."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import NotReadyError
from servers.embedded.fetch import fetched, first_part, parts_of
from tests.hub import Hub, hub

DOWNLOAD = "servers.embedded.download"
Fetch = Callable[[str, str | None], Coroutine[object, object, Path]]

REPO, PATTERN = "Qwen/Qwen2.5-3B-Instruct-GGUF", "*q4_k_m*.gguf"
FILE = "qwen2.5-3b-instruct-q4_k_m.gguf"
CONTENT = os.urandom(12 << 20)
BROKEN_AT, KEPT = 11 << 20, "10485760-"
"""The client writes pieces of 10 MiB."""


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    return partial(fetched, store=tmp_path / "store")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Hub]:
    with hub(tmp_path / "hub") as server:
        server.add(REPO, FILE, CONTENT)
        server.add(REPO, "qwen2.5-3b-instruct-q8_0.gguf", b"another precision")
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        yield server


async def test_the_file_that_is_meant_is_downloaded_and_no_other(fetch: Fetch, served: Hub) -> None:
    file = await fetch(REPO, PATTERN)
    assert file.read_bytes() == CONTENT
    assert [path.name for path in file.parent.glob("*.gguf*") if path.suffix != ".lock"] == [FILE]
    assert not any("q8_0" in line for line in served.asked)


async def test_what_is_here_is_used_without_asking_anybody(fetch: Fetch, served: Hub) -> None:
    first = await fetch(REPO, PATTERN)
    served.asked.clear()
    assert await fetch(REPO, PATTERN) == first
    assert served.asked == []


def begun(server: Hub) -> list[str]:
    """Where downloads were taken up, not at the beginning."""
    return [line.rpartition("=")[2] for line in server.asked if "bytes=" in line]


@asynccontextmanager
async def stalled(fetch: Fetch, served: Hub) -> AsyncGenerator[None]:
    """Hold a download in its middle, and interrupt it on leaving."""
    served.breaks_after = BROKEN_AT
    served.stalls.set()
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        download = group.create_task(fetch(REPO, PATTERN))
        assert await asyncio.to_thread(served.has_stalled.wait, 60)
        yield
        download.cancel()
    assert download.cancelled()
    served.stalls.clear()


async def test_a_download_that_broke_off_goes_on_where_it_was(fetch: Fetch, served: Hub) -> None:
    served.breaks_after = BROKEN_AT
    file = await fetch(REPO, PATTERN)
    assert file.read_bytes() == CONTENT
    assert begun(served) == [KEPT]


async def test_an_interrupted_download_ends_at_once_and_is_taken_up_by_the_next(
    fetch: Fetch,
    served: Hub,
) -> None:
    async with stalled(fetch, served):
        while not (kept := list(served.root.parent.glob("store/*/*.part"))):
            await asyncio.sleep(0.02)
        while kept[0].stat().st_size < 10 << 20:
            await asyncio.sleep(0.02)
    file = await fetch(REPO, PATTERN)
    assert file.read_bytes() == CONTENT
    assert begun(served) == [KEPT]


async def test_what_is_said_to_the_terminal_is_not_for_a_download(
    fetch: Fetch, served: Hub
) -> None:
    async with stalled(fetch, served):
        programs = {each.pid: each.cmdline() for each in psutil.Process().children()}
        groups = {pid: os.getpgid(pid) for pid, line in programs.items() if DOWNLOAD in line}
    assert groups
    assert groups == {pid: pid for pid in groups}


async def test_contents_that_are_not_the_hubs_are_refused(fetch: Fetch, served: Hub) -> None:
    served.spoils = True
    with pytest.raises(NotReadyError, match="not what the hub has"):
        await fetch(REPO, PATTERN)
    served.spoils = False
    assert (await fetch(REPO, PATTERN)).read_bytes() == CONTENT


async def test_what_somebody_put_into_the_hubs_own_cache_is_used(
    fetch: Fetch, served: Hub, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-m", "huggingface_hub.cli.hf", "download", REPO, FILE], check=True
    )
    served.asked.clear()
    assert (await fetch(REPO, PATTERN)).is_relative_to(tmp_path / "home")
    assert served.asked == []


async def test_a_model_in_parts_is_fetched_whole_and_named_by_its_first(
    fetch: Fetch, served: Hub
) -> None:
    repo = "Qwen/Qwen2.5-7B-Instruct-GGUF"
    names = [f"qwen2.5-7b-instruct-q4_k_m-0000{n}-of-00002.gguf" for n in (1, 2)]
    for name in names:
        served.add(repo, name, name.encode())
    file = await fetch(repo, PATTERN)
    assert file.name == names[0]
    assert [part.read_text() for part in parts_of(file)] == names


@pytest.mark.parametrize(
    ("repo", "pattern", "words"),
    [
        ("Qwen/None", PATTERN, "no such repository"),
        (REPO, "*q2_k*.gguf", "no file"),
        ("google/gated", PATTERN, "HF_TOKEN"),
    ],
)
async def test_what_cannot_be_had_is_said_with_the_remedy(
    fetch: Fetch, served: Hub, repo: str, pattern: str, words: str
) -> None:
    served.add("google/gated", FILE, CONTENT)
    served.gated.add("google/gated")
    with pytest.raises(NotReadyError, match=words):
        await fetch(repo, pattern)


async def test_a_hub_out_of_reach_is_one_sentence(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(NotReadyError, match=r"could not be downloaded.*local \.gguf file") as said:
        await fetch(REPO, PATTERN)
    assert "Traceback" not in str(said.value)


async def test_a_file_of_ones_own_is_taken_as_it_is(fetch: Fetch, tmp_path: Path) -> None:
    assert await fetch(str(tmp_path / "own.gguf"), None) == tmp_path / "own.gguf"


@given(n_parts=st.integers(1, 30), missing=st.integers(1, 30))
def test_a_part_that_is_missing_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, n_parts: int, missing: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    for number in range(1, n_parts + 1):
        if number != missing:
            (folder / f"m-q4_k_m-{number:05}-of-{n_parts:05}.gguf").touch()
    found = first_part(folder, PATTERN)
    assert (found is None) == (missing <= n_parts)
