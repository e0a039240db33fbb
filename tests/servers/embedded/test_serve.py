"""The program in the child, without its launcher."""

import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from servers.embedded import serve

_DEADLINE_S = 120.0


@contextmanager
def _program(gguf: Path, *more: str) -> Generator["subprocess.Popen[str]"]:
    command = [sys.executable, "-P", str(Path(serve.__file__)), "--gguf", str(gguf)]
    command += ["--name", "random", "--slots", "1", "--window-tokens", "512", *more]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _reported_url(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_it_reports_an_address_that_answers(checkpoint: Path) -> None:
    with (
        _program(checkpoint / "model.gguf") as process,
        urllib.request.urlopen(f"{_reported_url(process)}/health") as reply,  # noqa: S310 - loopback
    ):
        assert reply.status == 200


def test_sigterm_ends_it(checkpoint: Path) -> None:
    with _program(checkpoint / "model.gguf") as process:
        assert _reported_url(process)
        process.terminate()
        assert process.wait(_DEADLINE_S) == -15


def test_the_end_of_its_input_ends_it(checkpoint: Path) -> None:
    with _program(checkpoint / "model.gguf") as process:
        assert _reported_url(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(_DEADLINE_S) == 0


def test_it_does_not_start_for_a_parent_that_is_gone(checkpoint: Path) -> None:
    with _program(checkpoint / "model.gguf", "--parent", "1") as process:
        assert process.wait(_DEADLINE_S) == 0
        assert not _reported_url(process)


def test_a_file_that_is_not_there_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with _program(tmp_path / "none.gguf") as process:
        assert process.wait(_DEADLINE_S) == 1
        assert process.stderr is not None
        assert process.stderr.read().splitlines()[-1].startswith(str(tmp_path / "none.gguf"))
