"""A user's mistakes: one clear paragraph, the right exit code, nothing half-written."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from engine.errors import UsageError
from engine.settings import read_settings
from tests.cli.program import endpoint, run, two_arms
from tests.report.making import Said, make_run

DOWN = ("--endpoint", "a=http://127.0.0.1:9/v1", "--endpoint", "b=http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "comparision"], ["comparision", "did you mean 'comparison'"]),
        (["run", "comparison", "--model", "tiny-x"], ["tiny-x", "tiny-s", "--endpoint"]),
        (["compare", "--models", "tiny-s,tiny-s,tiny-s"], ["twice", "--replicates"]),
        (["compare", "--models", "tiny-s"], ["two models"]),
        (["compare", "comparison", "comparison"], ["twice", "--replicates"]),
        (["--replicas", "3"], ["--replicas"]),
        (["--replicates", "0"], ["--replicates"]),
        (["--replicates", "many"], ["--replicates", "many"]),
        (["--seed", "-1"], ["--seed"]),
        (["--display", "fancy"], ["--display", "fancy"]),
        (["comparre"], ["comparre", "compare"]),
        (["report", "a", "b"], ["'b'", "`report` takes one RUN"]),
        (["run", "1a", "--model", "tiny-s,tiny-m"], ["--model 'tiny-s,tiny-m'", "compare"]),
        (["run", "1a", "--model", ""], ["--model ''", "one model"]),
        (["--endpoint", "nonsense"], ["nonsense", "NAME=URL"]),
        (["--endpoint", "a=ftp://x"], ["ftp://x", "http"]),
        (["--endpoint", "a=http://h/v1", "--endpoint", "a=http://i/v1"], ["'a'", "own NAME"]),
        (["--checkpoint", "a=/nowhere"], ["--checkpoint", "--endpoint"]),
        ([*DOWN, "--checkpoint", "c=/nowhere"], ["'c'", "a, b"]),
        (["--config", "absent.toml"], ["absent.toml"]),
        (["report", "nowhere"], ["nowhere", "run directory"]),
        (["resume", "nowhere"], ["nowhere", "run directory"]),
        (["report", "r" * 300], ["run directory"]),
        (["run", "comparison", "--model", "tiny-s", "--heritage", "h" * 300], ["too long", "*.md"]),
    ],
)
async def test_a_mistake_is_named(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    done = await run(*arguments, cwd=tmp_path)
    assert done.code == 2, done.err
    assert "Traceback" not in done.err
    missing = [word for word in words if word not in done.err]
    assert not missing, done.err
    assert not list(tmp_path.iterdir()), "something was written"


async def test_an_endpoint_that_is_down_is_not_ready(tmp_path: Path) -> None:
    done = await run(*DOWN, "--out", "out", cwd=tmp_path)
    assert done.code == 3, done.err
    assert "127.0.0.1:9" in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


@asynccontextmanager
async def speaking(answer: bytes) -> AsyncGenerator[str]:
    """A server that gives every request the same answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def test_an_endpoint_that_speaks_no_openai_is_not_ready(tmp_path: Path) -> None:
    page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 12\r\n\r\n<html></html"
    async with speaking(page) as url:
        flags = ("--endpoint", f"a={url}", "--endpoint", f"b={url}")
        done = await run(*flags, "--out", "out", cwd=tmp_path)
    assert done.code in {2, 3}, done.err
    assert url in done.err
    assert not (tmp_path / "out").exists()


async def test_a_model_that_is_not_served_is_named_with_what_is(tmp_path: Path) -> None:
    async with endpoint() as server:
        flags = ("--endpoint", f"a={server.url}#serverd-model", "--endpoint", f"b={server.url}#x")
        done = await run(*flags, "--out", "out", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "served-model" in done.err
    assert not (tmp_path / "out").exists()


async def test_an_out_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    async with endpoint() as server:
        done = await run(*two_arms(server), "--out", "file/run", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "file/run" in done.err


async def test_an_existing_run_is_never_written_over(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), "--out", "out", cwd=tmp_path)
        before = (tmp_path / "out" / "events.jsonl").read_bytes()
        done = await run(*two_arms(server), "--out", "out", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "not empty" in done.err
    assert (tmp_path / "out" / "events.jsonl").read_bytes() == before


async def test_a_dry_run_refuses_an_existing_run(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "events.jsonl").touch()
    done = await run(*DOWN, "--out", "out", "--dry-run", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "not empty" in done.err


@pytest.mark.parametrize("flag", ["--heritage", "--wrong-heritage"])
async def test_a_dry_run_refuses_documents_that_are_not_there(flag: str, tmp_path: Path) -> None:
    done = await run(*DOWN, flag, "nowhere", "--dry-run", cwd=tmp_path)
    assert done.code == 2, done.err
    assert f"{flag} nowhere: is no directory" in done.err


async def test_a_dry_run_leaves_nothing_behind(tmp_path: Path) -> None:
    done = await run(*DOWN, "--out", "new/out", "--dry-run", cwd=tmp_path)
    assert done.code == 0, done.err
    assert not list(tmp_path.iterdir())


async def test_a_run_without_its_journal_is_not_sent_to_resume_again(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), "--out", "out", cwd=tmp_path)
        (tmp_path / "out" / "events.jsonl").unlink()
        (tmp_path / "out" / "events.jsonl").mkdir()
        done = await run("resume", "out", cwd=tmp_path)
    assert done.code == 1, done.err
    assert "events.jsonl: cannot be opened" in done.err
    assert "Restore it" in done.err
    assert "Go on with" not in done.err


async def test_a_corrupt_checkpoint_is_named(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "config.json").write_text('{"model_type": "qwen2", "num_hidden_layers": 2}')
    (weights / "model.safetensors").write_bytes(b"\x00" * 7)
    async with endpoint() as server:
        flags = ("--checkpoint", f"a={weights}", "--checkpoint", f"b={weights}")
        done = await run(*two_arms(server), *flags, "--out", "out", cwd=tmp_path)
    assert done.code == 3, done.err
    assert "model.safetensors" in done.err
    assert not (tmp_path / "out").exists()


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> NoReturn:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(UsageError, match=r"HOME is not set.*XDG_CACHE_HOME"):
        read_settings()


async def test_a_journal_of_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), "--out", "out", cwd=tmp_path)
        journal = tmp_path / "out" / "events.jsonl"
        foreign = journal.read_bytes().replace(b'"phase":"comparison"', b'"phase":"other"')
        journal.write_bytes(foreign)
        n_asked = len(server.asks)
        done = await run("resume", "out", cwd=tmp_path)
        assert len(server.asks) == n_asked
    assert done.code == 2, done.err
    assert "names no phase 'other'" in done.err
    assert journal.read_bytes() == foreign


@pytest.mark.parametrize("command", [("report",), ("resume",), ("fork", "--at", "1")])
async def test_an_address_that_was_changed_by_hand_is_named(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    manifest = make_run(tmp_path / "run", lambda _: [Said()], replicates=1) / "manifest.json"
    manifest.write_text(manifest.read_text().replace("http://127.0.0.1:1/v1", "http://[::1"))
    done = await run(command[0], "run", *command[1:], cwd=tmp_path)
    assert done.code == 2, done.err
    assert "manifest.json: arms.0.url: is no URL" in done.err


async def test_a_journal_of_another_run_is_not_forked(tmp_path: Path) -> None:
    journal = make_run(tmp_path / "run", lambda _: [Said()], replicates=1) / "events.jsonl"
    foreign = journal.read_bytes().replace(b'"phase":"comparison"', b'"phase":"other"')
    journal.write_bytes(foreign)
    done = await run("fork", "run", "--at", "1", "--dry-run", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "names no phase 'other'" in done.err


@pytest.mark.parametrize("flags", [("--noise-floor",), ("--models", "a,a,a-again")])
async def test_an_arm_that_is_called_like_a_twin_is_refused_before_anything_starts(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    arms = ("--endpoint", "a=http://127.0.0.1:9/v1", "--endpoint", "a-again=http://127.0.0.1:9/v1")
    done = await run("compare", *arms, *flags, "--dry-run", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "'a-again': so the second arm of 'a' would be called" in done.err
