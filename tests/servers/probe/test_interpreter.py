"""Which Python runs probes: the first that has what they need."""

import sys
from pathlib import Path

import pytest

from servers.probe.interpreter import Interpreter, find_interpreter
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


@pytest.mark.vllm
@pytest.mark.parametrize("kind", ["qwen2", "gemma3_text", "qwen3_5_text", "data2vec-text"])
def test_a_type_that_transformers_has_a_language_model_for_has_a_probe(kind: str) -> None:
    assert not interpreter().why_not({"model_type": kind})


@pytest.mark.vllm
@pytest.mark.parametrize("kind", ["gemma3", "t5", "no-such-family", None])
def test_a_type_without_a_language_model_of_its_own_has_no_probe(kind: str | None) -> None:
    problem = f"has no language model of its type {kind!r}"
    assert interpreter().why_not({"model_type": kind}).endswith(problem)


def test_a_model_with_parts_beside_its_language_model_has_no_probe() -> None:
    classes = {"gemma3_text": "Gemma3ForCausalLM"}
    python = Interpreter(python="python", torch="2", transformers="5", classes=classes)
    text = {"model_type": "gemma3_text"}
    assert not python.why_not(text)
    assert "one with other parts" in python.why_not({**text, "text_config": text})
    assert python.why_not({**text, "auto_map": {}})
