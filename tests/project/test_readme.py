"""The README tells the truth about the files."""

import re
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
