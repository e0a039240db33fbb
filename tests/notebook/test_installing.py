"""The first cell of the notebook, run by IPython where this project is not installed yet."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.program import ROOT

_PROGRAM = """\
import json, sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
here = [each for each in sys.path if not Path(each or ".", "engine").exists()]
sys.path[:] = [*here, sys.argv[2]]
done = InteractiveShell.instance().run_cell(json.loads(sys.argv[1]))
sys.exit(repr(done.error_in_exec) if done.error_in_exec else 0)
"""
_PIP = """\
import os, sys
from pathlib import Path
print("ERROR: no such project" if "absent" in sys.argv[-1] else "", file=sys.stderr)
here = Path(__file__).parents[1]
(here / "asked").write_text("\\n".join(sys.argv[1:]))
if "absent" not in sys.argv[-1]:
    (here / "installed" / "engine").mkdir()
    (here / "installed" / "engine" / "__init__.py").touch()
sys.exit("absent" in sys.argv[-1])
"""
"""Stands in for pip, and installs an empty `engine` unless what it is given is called absent."""


def install(project: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the first cell with `project` filled in and a pip that has no network to need."""
    for name in ("pip", "installed", "home"):
        (folder / name).mkdir()
    (folder / "pip" / "__init__.py").touch()
    (folder / "pip" / "__main__.py").write_text(_PIP)
    lines = [
        f"PROJECT = {project!r}" if line.startswith("PROJECT = ") else line
        for line in _first_cell().splitlines()
    ]
    cell, installed = json.dumps("\n".join(lines)), str(folder / "installed")
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, cell, installed],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "HOME": str(folder / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def _first_cell() -> str:
    read = json.loads((ROOT / "scripts" / "colab" / "Phase1_Colab.ipynb").read_text())
    (source,) = [cell["source"] for cell in read["cells"] if cell["id"] == "install"]
    return "".join(source)


@pytest.mark.parametrize(
    "project", ["/content/drive/Colab Notebooks/copy", "git+https://host/it's", "$HOME/copy"]
)
def test_what_is_installed_is_the_project_as_it_is_written(project: str, tmp_path: Path) -> None:
    done = install(project, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "asked").read_text().splitlines() == ["install", "--quiet", project]


def test_an_install_that_failed_stops_the_notebook_and_says_what_to_do(tmp_path: Path) -> None:
    done = install("/absent", tmp_path)
    assert "ERROR: no such project" in done.stdout + done.stderr
    assert "'/absent' could not be installed" in done.stderr
    assert "run this cell again" in done.stderr
    assert done.returncode == 1
