"""The README tells the truth about the files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli.app import COMMANDS
from engine.cli.serving.configured import read_endpoints
from phases.load import get_phases
from scripts.tree import README, listed, tracked, updated, words_on

TEXT = README.read_text(encoding="utf-8")


def test_the_file_tree_is_that_of_today() -> None:
    assert updated(TEXT) == TEXT, "run: python scripts/tree.py --write"


@pytest.mark.parametrize("path", [path for path in tracked() if listed(path)], ids=str)
def test_every_listed_file_says_what_it_is(path: Path) -> None:
    assert words_on(path) or path.name == "__init__.py"


def test_every_command_of_the_readme_exists() -> None:
    named = set(re.findall(r"scripts/start ([a-z]+)", TEXT))
    assert named <= set(COMMANDS)


def test_the_example_of_an_endpoint_is_read_and_names_its_weights(tmp_path: Path) -> None:
    example = TEXT.partition("    [endpoints.7b]")[2].partition("\n\n")[0]
    (tmp_path / "lab.toml").write_text("[endpoints.7b]" + example)
    (found,) = read_endpoints(tmp_path / "lab.toml")
    assert found.model == "7b"
    assert found.checkpoint


def test_phases_that_are_said_to_have_the_same_prompts_and_budgets_have_them() -> None:
    section = TEXT.partition("## Conditions")[2]
    keys = re.findall("`(.+?)`", section.partition("have the same prompts and budgets")[0])
    assert len(keys) > 1
    first, *others = get_phases(tuple(keys), ())
    for phase in others:
        assert phase.experiments[: len(first.experiments)] == first.experiments
        assert phase.capabilities == first.capabilities


def test_a_condition_of_ones_own_is_made_and_run_as_it_says(tmp_path: Path) -> None:
    section = TEXT.partition("## A condition of your own\n")[2].partition("\n## ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    assert len(lines) < 15
    script = "\n".join(lines).replace("scripts/start", f"{sys.executable} -m engine.run")
    shell = ["/bin/sh", "-euc", script]
    done = subprocess.run(
        shell, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "purity: clean" in done.stdout
    assert "1/1 done" in done.stderr
