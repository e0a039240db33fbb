"""`export` as a user meets it: a real process, its files, its exit codes and its words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli.access import credentials_of
from engine.manifest import read_manifest, write_manifest
from tests.report.making import Said, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("export") / "run", lambda _: [Said()], replicates=1)


def export(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine.run", "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_exports_lie_in_the_run_directory_unless_another_place_is_named(run: Path) -> None:
    done = export(run, "--format", "chat", "--json")
    assert done.returncode == 0, done.stderr
    (path,) = json.loads(done.stdout)["files"]
    assert Path(path) == run / "exports" / "chat.jsonl"
    assert len(Path(path).read_text(encoding="utf-8").splitlines()) == 2


def test_a_missing_library_is_one_error_that_names_the_extra(run: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "pyarrow"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError('not here')", encoding="utf-8")
    command = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from engine.cli.app import run\n"
        f"sys.exit(run(['export', {str(run)!r}, '--format', 'parquet']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "scripts/install export" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("variable", ["OPENAI_API_KEY", "GATEWAY"])
def test_what_an_endpoint_was_shown_to_be_let_in_is_in_no_export_and_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    secret = "plain words that are nobodys"
    run = make_run(tmp_path / "run", lambda _: [Said(output=f"{secret}\n")], replicates=1)
    manifest = read_manifest(run)
    headers = {"X-Gateway-Key": "Token ${GATEWAY}"}
    arms = tuple(arm.model_copy(update={"headers": headers}) for arm in manifest.arms)
    write_manifest(run, manifest.model_copy(update={"arms": arms}))
    monkeypatch.setenv(variable, secret)
    assert export(run, "--format", "chat").returncode == 0
    assert secret not in (run / "exports" / "chat.jsonl").read_text(encoding="utf-8")
    assert set(credentials_of(read_manifest(run).arms)) == {secret}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--format", "word"], "word"),
        (["--format", "chat", "--model", "nobody"], "nobody"),
        (["--format", "chat", "--out", "."], "is a folder"),
    ],
)
def test_wrong_usage_says_what_is_wrong(run: Path, arguments: list[str], named: str) -> None:
    done = export(run, *arguments)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["chat", "otel"])
def test_nothing_is_written_of_a_run_that_has_nothing_to_show(tmp_path: Path, kind: str) -> None:
    run = make_run(tmp_path / "run", lambda _: [], replicates=1, ends=lambda _: None)
    if kind == "otel":
        (run / "events.jsonl").write_bytes(b"")
    done = export(run, "--format", kind)
    assert done.returncode == 0, done.stderr
    assert "nothing was exported" in done.stderr
    assert "1 file" not in done.stderr
    assert not (run / "exports").exists()


def test_a_pipe_is_written_into_and_stays_one(run: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = export(run, "--format", "chat", "--out", pipe)
        read = os.read(reader, 1 << 16)
    finally:
        os.close(reader)
    assert done.returncode == 0, done.stderr
    assert len(read.splitlines()) == 2
    assert pipe.is_fifo()


def written_by_a_shell(line: str, run: Path, cwd: Path) -> bytes:
    (cwd / "file").write_text("kept\n", encoding="utf-8")
    script = f'"$0" -m engine.run export "$1" --format chat {line}'
    argv = ["/bin/sh", "-c", script, sys.executable, str(run)]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return (cwd / "file").read_bytes()


@pytest.mark.parametrize(
    "line",
    [
        "--out /dev/stdout >>file",
        "--out /dev/stderr 2>>file",
        "--out file >>file",
        "--out /dev/fd/9 9>>file",
        "--out link 9>>file",
    ],
)
def test_a_file_that_a_stream_appends_to_keeps_what_it_had(
    run: Path, tmp_path: Path, line: str
) -> None:
    (tmp_path / "link").symlink_to("/dev/fd/9")
    found = written_by_a_shell(line, run, tmp_path)
    assert found.startswith(b"kept\n{")
    assert found.count(b'{"messages"') == 2


def test_all_that_is_written_to_stdout_is_in_its_file(run: Path, tmp_path: Path) -> None:
    found = written_by_a_shell("--out /dev/stdout --json >file", run, tmp_path)
    assert found.count(b'{"messages"') == 2
    assert b'"format": "chat"' in found


@pytest.mark.parametrize("target", ["there", "absent"])
def test_a_link_is_followed_and_stays_one(run: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "there").write_text("old", encoding="utf-8")
    link = tmp_path / "link"
    link.symlink_to(target)
    done = export(run, "--format", "chat", "--out", link)
    assert done.returncode == 0, done.stderr
    assert link.is_symlink()
    assert len((tmp_path / target).read_text(encoding="utf-8").splitlines()) == 2


@pytest.mark.parametrize("kind", ["chat", "inspect"])
@pytest.mark.parametrize("place", ["file/x", "loop", "x" * 300])
def test_a_place_that_cannot_be_written_is_refused_with_the_remedy(
    run: Path, tmp_path: Path, place: str, kind: str
) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    (tmp_path / "loop").symlink_to("loop")
    done = export(run, "--format", kind, "--out", tmp_path / place)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "Name another place" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "loop"]


def test_a_pipe_is_no_folder_of_files(run: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = export(run, "--format", "inspect", "--out", pipe)
    assert done.returncode == 2, done.stderr
    assert "this format is a folder" in done.stderr
    assert pipe.is_fifo()


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    done = export(tmp_path, "--format", "chat")
    assert done.returncode == 2
    assert "not a run directory" in done.stderr
