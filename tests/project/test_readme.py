"""The README tells the truth about the files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli.app import COMMANDS
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
