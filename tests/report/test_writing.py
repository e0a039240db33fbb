"""Every run leaves its report, and `report` writes it anew and opens it."""

import asyncio
import stat
from pathlib import Path

import pytest

from tests.cli.program import endpoint, run, two_arms
from tests.report.making import Said, make_run


async def test_a_run_ends_with_its_report(tmp_path: Path) -> None:
    async with endpoint() as server:
        done = await run(*two_arms(server), "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "report: out/report.html" in done.err
    text = (tmp_path / "out" / "report.html").read_text()
    assert text.startswith("<!doctype html>")
    assert "a and b" in text


async def test_a_killed_run_has_its_report_written_later(tmp_path: Path) -> None:
    make_run(tmp_path / "killed", lambda _: [Said()], ends=lambda _: None)
    done = await run("report", "killed", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "unfinished" in (tmp_path / "killed" / "report.html").read_text()


async def test_the_report_is_opened_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "done", lambda _: [Said()])
    program = tmp_path / "browser"
    program.write_text('#!/bin/sh\nprintf %s "$1" >opened\n')
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("BROWSER", str(program))
    done = await run("report", "done", "--open", cwd=tmp_path)
    assert done.code == 0, done.err
    async with asyncio.timeout(60):
        while not (opened := tmp_path / "opened").exists() or not opened.read_text():
            await asyncio.sleep(0.02)
    assert opened.read_text() == (tmp_path / "done" / "report.html").as_uri()
