"""`serve` with a fake vLLM: endpoints out, a live line, a clean end, readable refusals."""

import asyncio
import json
import shutil
import signal
from pathlib import Path

import pytest

from servers.embedded.model import tiny_models
from tests.cli.fake import fake_vllm, models
from tests.cli.program import WITHIN_S, Outcome, outcome, program, run
from tests.servers.launch.starts import alive_in

N_PROCESSES = 9
"""The program itself, and two servers: each a keeper, an API process, an engine and a worker."""


async def serve_until_idle(folder: Path, *flags: str) -> Outcome:
    """Serve both tiny models; interrupt once the first look at them is shown."""
    arguments = ("serve", "--models", models(), "--hardware", "cpu", *flags)
    seen = b""
    async with program(*arguments, "--vllm", fake_vllm(folder), cwd=folder) as process:
        async with asyncio.timeout(WITHIN_S):
            assert process.stderr is not None
            while b" running, " not in seen:
                line = await process.stderr.readline()
                assert line, seen.decode()
                seen += line
            assert len(alive_in(folder)) == N_PROCESSES
            process.send_signal(signal.SIGINT)
            done = await outcome(process)
    return done._replace(err=seen.decode() + done.err)


def record_files(folder: Path) -> list[Path]:
    return list((folder / "cache" / "phaselab" / "serving").glob("*.json"))


async def test_serve_prints_endpoints_and_ends_cleanly_at_ctrl_c(tmp_path: Path) -> None:
    done = await serve_until_idle(tmp_path)
    assert done.code == 0, done.err
    urls = dict(line.split() for line in done.out.splitlines())
    assert set(urls) == {"tiny-s", "tiny-m"}
    assert f"--endpoint tiny-s={urls['tiny-s']}" in done.err
    assert "every server has ended" in done.err
    assert alive_in(tmp_path) == []
    assert record_files(tmp_path) == []


async def test_serve_prints_json_when_asked(tmp_path: Path) -> None:
    endpoints = json.loads((await serve_until_idle(tmp_path, "--json")).out)
    assert endpoints["tiny-m"]["url"].startswith("http://127.0.0.1:")
    assert endpoints["tiny-m"]["max_model_len"] > 0


async def test_a_failing_server_is_one_paragraph_and_exit_3(tmp_path: Path) -> None:
    script = fake_vllm(tmp_path, fault="driver")
    done = await run("serve", "--models", models(), "--vllm", script, cwd=tmp_path)
    assert done.code == 3
    assert "install vllm" in done.err
    assert "Traceback" not in done.err
    assert alive_in(tmp_path) == []


async def test_a_missing_vllm_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    (tmp_path / "own").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny_models()[0].directory / name, tmp_path / "own")
    done = await run("serve", "--models", "./own", cwd=tmp_path)
    assert done.code == 3
    assert "python -m engine.run install vllm" in done.err


async def test_a_program_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    done = await run("serve", "--models", models(), "--vllm", tmp_path / "none", cwd=tmp_path)
    assert done.code == 2
    assert "--vllm" in done.err


@pytest.mark.parametrize("detach", [[], ["--detach"]])
async def test_logs_that_have_no_place_are_refused_by_their_flag(
    tmp_path: Path, detach: list[str]
) -> None:
    (tmp_path / "file").write_text("x")
    done = await run("serve", "--models", models(), "--logs", "file", *detach, cwd=tmp_path)
    assert done.code == 3, done.err
    assert "Traceback" not in done.err
    assert "file: cannot be made" in done.err
    assert "Point --logs at" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--models", models()],
        ["serve", "--models", models(), "--detach"],
        ["serve", "--models", models(), "--logs", "logs"],
        ["install", "vllm", "--build", "cpu"],
    ],
)
async def test_a_cache_that_has_no_place_is_refused_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    done = await run(*arguments, cwd=tmp_path)
    assert done.code == 3, done.err
    assert "Traceback" not in done.err
    assert "Point XDG_CACHE_HOME at" in done.err


@pytest.mark.parametrize("models", [(), ("--models", "tiny-s")])
async def test_serve_refuses_a_context_that_models_which_ship_cannot_have(
    models: tuple[str, ...], tmp_path: Path
) -> None:
    done = await run("serve", *models, "--context", "4096", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "--context 4096: tiny-s" in done.err
