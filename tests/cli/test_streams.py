"""Streams that are closed, broken or full: the work counts, and what cannot be printed is said."""

import asyncio
import json
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from engine.cli.console import emit_json
from engine.events import RunEnded
from tests.cli.program import ROOT, WITHIN_S, Outcome, endpoint, events_of, outcome, two_arms
from tests.report.making import Said, make_run

PRINTING = [("phases",), ("phases", "--json"), ("--help",), ("run", "--help"), ("--version",)]


async def shell(redirection: str, *arguments: str, cwd: Path) -> Outcome:
    """Start the program with its streams as the words of a shell say; return its exit code."""
    line = f'("$0" -m engine.run "$@"; echo $? >code) {redirection}'
    argv = ("/bin/sh", "-c", line, sys.executable, *arguments)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, cwd=cwd, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(WITHIN_S):
        done = await outcome(process)
    return done._replace(code=int((cwd / "code").read_text()))


@pytest.mark.parametrize("command", PRINTING)
async def test_a_reader_of_stdout_that_is_gone_is_no_failure(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    done = await shell("| true", *command, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("redirection", [">&-", "2>&-"])
async def test_a_stream_that_is_closed_is_no_failure(redirection: str, tmp_path: Path) -> None:
    done = await shell(redirection, "phases", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("command", PRINTING)
async def test_a_stdout_that_cannot_be_written_is_said(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    done = await shell(">/dev/full", *command, cwd=tmp_path)
    assert done.code == 1
    assert done.err == "error: stdout cannot be written (No space left on device).\n"


def test_what_this_program_was_started_with_is_passed_to_no_other() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w"):
        code = (
            "import os; from engine.cli.console import pass_nothing_on; pass_nothing_on(); "
            f"print([os.get_inheritable(number) for number in (0, 1, 2, {writer})])"
        )
        argv = (sys.executable, "-c", code)
        done = subprocess.run(argv, pass_fds=[writer], capture_output=True, check=True, cwd=ROOT)
    assert done.stdout == b"[True, True, True, False]\n"


async def test_a_report_that_cannot_be_printed_is_written(tmp_path: Path) -> None:
    make_run(tmp_path / "run", lambda _: [Said()], replicates=1)
    done = await shell(">/dev/full", "report", "run", cwd=tmp_path)
    assert done.code == 1
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
async def test_a_table_is_printed_whatever_the_encoding(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = await shell(">result", "presets", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "qwen2.5-3b" in (tmp_path / "result").read_text(encoding)


@pytest.mark.parametrize("text", ["caf\u00e9", "\u2026", "\U0001f600"])
def test_json_stays_json_whatever_the_encoding(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(file, encoding="ascii", errors="replace"))
    emit_json({"said": text})
    assert json.loads(file.getvalue()) == {"said": text}


@pytest.mark.parametrize("redirection", ["2>&1 >result | true", "2>&- >result"])
async def test_a_run_that_nobody_listens_to_prints_its_result(
    redirection: str, tmp_path: Path
) -> None:
    async with endpoint() as server:
        flags = (*two_arms(server), "--out", "out", "--display", "plain")
        done = await shell(redirection, *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "result").read_text().startswith("a and b, execution errors per code block")


async def test_a_run_without_any_stream_records_its_events_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with endpoint() as server:
        done = await shell("<&- >&- 2>&-", *two_arms(server), "--out", "out", cwd=tmp_path)
    assert done.code == 0
    assert isinstance(events_of(tmp_path / "out")[-1], RunEnded)


async def test_a_mistake_keeps_its_exit_code_where_stderr_is_full(tmp_path: Path) -> None:
    done = await shell("2>/dev/full", "nonsense", cwd=tmp_path)
    assert done.code == 2
