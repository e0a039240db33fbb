"""pyproject.toml keeps its own rules."""

import re
import tomllib
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).parents[2]
_TEXT = (_REPOSITORY / "pyproject.toml").read_text()
_TOOLS: dict[str, Any] = tomllib.loads(_TEXT)["tool"]


def _lines_of_ignores() -> list[str]:
    """Every line of ruff's settings that lets a rule go."""
    section = _TEXT[_TEXT.index("[tool.ruff.lint]") : _TEXT.index("[tool.ruff.lint.flake8")]
    return re.findall(r'^ +"[A-Z]+\d*",.*$', section, flags=re.MULTILINE)


def test_every_rule_that_is_let_go_has_its_reason() -> None:
    lint = _TOOLS["ruff"]["lint"]
    let_go = [
        *lint["ignore"],
        *(rule for rules in lint["per-file-ignores"].values() for rule in rules),
    ]
    lines = _lines_of_ignores()
    assert len(lines) == len(let_go), "one rule on a line"
    assert [line for line in lines if not re.search(r"# \w.{6,}", line)] == []


def test_every_file_with_exceptions_exists() -> None:
    patterns = _TOOLS["ruff"]["lint"]["per-file-ignores"]
    assert [pattern for pattern in patterns if not any(_REPOSITORY.glob(pattern))] == []


def _layers(contract: str) -> list[str]:
    (found,) = [each for each in _TOOLS["importlinter"]["contracts"] if each["id"] == contract]
    return [module.strip() for layer in found["layers"] for module in layer.split("|")]


def test_every_module_of_the_engine_has_its_layer() -> None:
    engine = _REPOSITORY / "engine"
    modules = {path.stem for path in engine.glob("*.py")} | {
        path.parent.name for path in engine.glob("*/__init__.py")
    }
    assert set(_layers("engine-layers")) == modules - {"__init__"}
