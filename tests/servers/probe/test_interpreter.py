"""Which Python runs probes: the first that has what they need."""

import sys
from pathlib import Path

import pytest

from servers.probe.interpreter import find_interpreter
from tests.servers.probe.real import interpreter


def program(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_without_one_there_is_none(tmp_path: Path) -> None:
    silent = program(tmp_path / "silent", "exit 0")
    failing = program(tmp_path / "failing", "exit 1")
    odd = program(tmp_path / "odd", "echo '[1]'")
    assert find_interpreter([tmp_path / "missing", silent, failing, odd, tmp_path]) is None


def test_a_python_without_torch_is_passed_over(tmp_path: Path) -> None:
    # -S leaves out what is installed beside this Python.
    bare = program(tmp_path / "bare", f'exec "{sys.executable}" -S "$@"')
    assert find_interpreter([bare]) is None


@pytest.mark.vllm
def test_the_first_that_has_all_is_taken(tmp_path: Path) -> None:
    found = interpreter()
    again = find_interpreter([tmp_path / "missing", Path(found.python), tmp_path / "never"])
    assert again == found
    assert found.knows("qwen2")
    assert not found.knows("no-such-family")
    assert not found.knows(None)
