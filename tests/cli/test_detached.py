"""`serve --detach`: outlives its shell, is found, used and stopped; stale files are recognised."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import psutil
import pytest
from msgspec.structs import replace

from engine.errors import NotReadyError
from servers.identity import is_alive
from servers.kept import Kept, kept_here, read_kept, stop_kept, write_kept
from tests.cli.fake import fake_vllm, models
from tests.cli.program import WITHIN_S, program, run
from tests.servers.launch.starts import alive_in


def serving_dir(folder: Path) -> Path:
    return folder / "cache" / "phaselab" / "serving"


@asynccontextmanager
async def detached(folder: Path, *flags: str | Path) -> AsyncGenerator[Kept]:
    """Two tiny models served in the background; whatever happens, nothing of it is left."""
    done = await run("serve", "--detach", *flags, cwd=folder)
    try:
        assert done.code == 0, done.err
        (kept,) = read_kept(serving_dir(folder))
        yield kept
    finally:
        for kept in read_kept(serving_dir(folder)):
            stop_kept(serving_dir(folder), kept)


async def status(folder: Path) -> list[dict[str, object]]:
    return json.loads((await run("serve", "--status", "--json", cwd=folder)).out)["servers"]


def answers(kept: Kept) -> bool:
    """Whether every server completes a token."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    try:
        for model in kept.served:
            asked = body | {"model": model.endpoint.served_model}
            url = f"{model.endpoint.url}/chat/completions"
            httpx2.post(url, json=asked, timeout=WITHIN_S).raise_for_status()
    except httpx2.HTTPError:
        return False
    return True


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, left = psutil.wait_procs(processes, timeout=WITHIN_S)
    assert left == []


async def test_servers_outlive_the_session_of_the_shell_and_are_stopped(tmp_path: Path) -> None:
    script = f"{sys.executable} -m engine.run serve --detach && echo ready; sleep 600"
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-c", script), stdout=asyncio.subprocess.PIPE, cwd=tmp_path, start_new_session=True
    )
    assert shell.stdout is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            while await shell.stdout.readline() != b"ready\n":
                pass
    finally:
        for number in (signal.SIGHUP, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, number)
        await shell.wait()
    (kept,) = read_kept(serving_dir(tmp_path))
    assert os.getsid(kept.pid) == kept.pid
    assert answers(kept)
    family = [psutil.Process(kept.pid), *psutil.Process(kept.pid).children(recursive=True)]
    done = await run("serve", "--stop", cwd=tmp_path)
    assert done.code == 0, done.err
    wait_until_gone(family)
    assert not answers(kept)
    assert list(serving_dir(tmp_path).iterdir()) == []


async def test_status_says_where_who_since_when_and_how_busy(tmp_path: Path) -> None:
    async with detached(tmp_path) as kept:
        rows = await status(tmp_path)
        table = (await run("serve", "--status", cwd=tmp_path)).out
    assert [row["model"] for row in rows] == ["tiny-s", "tiny-m"]
    assert {row["pid"] for row in rows} == {kept.pid}
    assert abs(float(str(rows[0]["since"])) - time.time()) < WITHIN_S
    assert isinstance(rows[0]["load"], dict)
    assert kept.served[0].endpoint.url in table


async def test_what_is_served_already_is_not_started_again(tmp_path: Path) -> None:
    async with detached(tmp_path) as kept:
        again = await run("serve", "--detach", "--json", cwd=tmp_path)
        assert read_kept(serving_dir(tmp_path)) == (kept,)
    assert json.loads(again.out)["tiny-s"]["url"] == kept.served[0].endpoint.url


async def test_a_run_uses_the_servers_that_are_there(tmp_path: Path) -> None:
    async with detached(tmp_path) as kept:
        done = await run("compare", "--out", "out", cwd=tmp_path)
        assert done.code == 0, done.err
        assert answers(kept), "the run leaves them running"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [arm["url"] for arm in manifest["arms"]] == [model.endpoint.url for model in kept.served]
    assert all(arm["checkpoint_fingerprint"] for arm in manifest["arms"])
    assert manifest["serving"] == "embedded"


async def test_a_killed_serve_takes_its_servers_along_and_is_forgotten(tmp_path: Path) -> None:
    async with detached(tmp_path) as kept:
        children = psutil.Process(kept.pid).children(recursive=True)
        assert len(children) == 2
        os.kill(kept.pid, signal.SIGKILL)
        wait_until_gone(children)
        assert await status(tmp_path) == []
        assert list(serving_dir(tmp_path).iterdir()) == []


def another(own: Kept) -> Kept:
    """A process that had the same id before."""
    return replace(own, birth=replace(own.birth, at=own.birth.at - 1))


def test_a_process_id_that_came_back_is_not_believed_and_not_stopped(tmp_path: Path) -> None:
    own = kept_here("embedded", ("a",), tmp_path)
    write_kept(tmp_path, another(own))
    stop_kept(tmp_path, another(own))
    assert is_alive(own.pid, own.birth), "this very process"
    write_kept(tmp_path, another(own))
    assert read_kept(tmp_path) == ()
    assert list(tmp_path.glob("*.json")) == []


def test_a_process_of_an_earlier_boot_is_not_believed(tmp_path: Path) -> None:
    own = kept_here("embedded", ("a",), tmp_path)
    write_kept(tmp_path, replace(own, birth=replace(own.birth, boot="an earlier one")))
    assert read_kept(tmp_path) == ()


@pytest.mark.parametrize("moved_s", [-1000.0, 1000.0])
def test_a_serve_is_believed_after_the_clock_was_set(tmp_path: Path, moved_s: float) -> None:
    own = kept_here("embedded", ("a",), tmp_path)
    kept = replace(own, started=own.started + moved_s)
    write_kept(tmp_path, kept)
    assert read_kept(tmp_path) == (kept,)


def test_a_dead_process_and_a_torn_file_are_recognised(tmp_path: Path) -> None:
    write_kept(tmp_path, replace(kept_here("vllm", ("a",), tmp_path), pid=2**22 + 1))
    (tmp_path / "7.json").write_text('{"pid": 7, "star')
    assert read_kept(tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_said_with_what_to_do(tmp_path: Path) -> None:
    kept = kept_here("embedded", ("a",), tmp_path)
    (tmp_path / f"{kept.pid}.draft").mkdir()
    with pytest.raises(NotReadyError, match=r"cannot be written \(.+\).*XDG_CACHE_HOME"):
        write_kept(tmp_path, kept)


async def test_vllm_servers_log_to_files_and_end_with_all_they_started(tmp_path: Path) -> None:
    flags = ("--models", models(), "--hardware", "cpu", "--vllm", fake_vllm(tmp_path))
    async with detached(tmp_path, *flags) as kept:
        assert answers(kept)
        assert len(alive_in(tmp_path)) >= 8
        logs = {path.name for path in Path(kept.log_dir).iterdir()}
        assert logs == {"serve.log", "tiny-s.log", "tiny-m.log"}
        done = await run("serve", "--stop", "--models", "tiny-m", cwd=tmp_path)
        assert done.code == 0, done.err
        assert alive_in(tmp_path) == []


async def test_a_start_that_fails_is_one_readable_error_and_leaves_nothing(tmp_path: Path) -> None:
    script = fake_vllm(tmp_path, fault="driver")
    flags = ("--models", models(), "--hardware", "cpu", "--vllm", script)
    done = await run("serve", "--detach", *flags, cwd=tmp_path)
    assert done.code == 3, done.err
    assert done.err.count("older than the CUDA version") == 1
    assert "serve.log" in done.err
    assert "Traceback" not in done.err
    assert alive_in(tmp_path) == []
    assert await status(tmp_path) == []


async def test_ctrl_c_while_it_waits_ends_what_was_started(tmp_path: Path) -> None:
    script = fake_vllm(tmp_path, fault="chatter")
    flags = ("--models", models(), "--hardware", "cpu", "--vllm", script)
    async with program("serve", "--detach", *flags, cwd=tmp_path) as process:
        assert process.stderr is not None
        async with asyncio.timeout(WITHIN_S):
            while b"download" not in await process.stderr.readline():
                pass
        process.send_signal(signal.SIGINT)
        await process.communicate()
        assert process.returncode == 130
    assert alive_in(tmp_path) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--detach", "--stop"), "give one of them"),
        (("--stop", "--models", "tiny-x"), "no server runs for it"),
        (("--detach", "--models", "qwen2.5-9b"), "no preset called 'qwen2.5-9b'"),
    ],
)
async def test_a_mistake_is_named(tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    done = await run("serve", *flags, cwd=tmp_path)
    assert done.code == 2, done.err
    assert words in done.err
    assert "Traceback" not in done.err
