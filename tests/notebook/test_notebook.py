"""The notebook, executed as Colab does: twice, and interrupted in the middle."""

import ast
import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import nbformat
import psutil
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from engine.cli.notebook.choosing import SCRIPTS
from engine.events import CompletionReceived
from tests.cli.program import ROOT, events_of

NOTEBOOK = ROOT / "scripts" / "colab" / "Phase1_Colab.ipynb"
STUB = Path(__file__).parent / "stub"
WITHIN_S = 400


@pytest.fixture(autouse=True)
def colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own, and a google.colab that answers."""
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        folder = tmp_path / "home" / name.lower()
        folder.mkdir(parents=True)
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{STUB}:{ROOT}")
    monkeypatch.setenv("STUB_FOLDER", str(tmp_path / "colab"))


@pytest.fixture(autouse=True)
def no_server_left(tmp_path: Path) -> Iterator[None]:
    yield
    home = str(tmp_path / "home")
    left = [each for each in psutil.process_iter() if home in _words(each)]
    for process in left:
        process.kill()
    assert not left


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def notebook(**fields: object) -> nbformat.NotebookNode:
    """Return the notebook, with fields of its form filled in as a user would."""
    read = cast("nbformat.NotebookNode", nbformat.read(NOTEBOOK, as_version=4))
    for cell in cells_of(read):
        lines = source_of(cell).splitlines()
        for place, line in enumerate(lines):
            name = line.partition(" = ")[0]
            if name in fields:
                lines[place] = f"{name} = {fields[name]!r}"
        cell["source"] = "\n".join(lines)
    return read


INTERRUPTED = """
import os, signal
from engine.events import CompletionReceived
from engine.journal import Journal

append, n_received = Journal.append, 0

def interrupting(self, event):
    global n_received
    append(self, event)
    n_received += isinstance(event, CompletionReceived)
    if isinstance(event, CompletionReceived) and n_received == 4:
        os.killpg(os.getpid(), signal.SIGINT)

Journal.append = interrupting
"""
"""What the button of Colab does, as soon as four replies are recorded."""


def interrupted(cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Let the cell that runs be interrupted in its middle, however fast or slow the machine is."""
    (cell,) = [cell for cell in cells_of(cells) if cell["id"] == "run"]
    cell["source"] = INTERRUPTED + source_of(cell)
    return cells


def cells_of(read: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return cast("list[nbformat.NotebookNode]", read["cells"])


@asynccontextmanager
async def executing(
    cells: nbformat.NotebookNode, folder: Path, *, goes_on: bool = False
) -> AsyncGenerator[NotebookClient]:
    """`goes_on`: as a user does who runs the next cell after one that failed."""
    client = NotebookClient(
        cells,
        timeout=WITHIN_S,
        kernel_name="python3",
        resources={"metadata": {"path": folder}},
        allow_errors=goes_on,
    )
    async with asyncio.timeout(WITHIN_S):
        yield client


def said(cells: nbformat.NotebookNode, id_: str) -> str:
    (cell,) = [cell for cell in cells_of(cells) if cell["id"] == id_]
    outputs = cast("list[dict[str, object]]", cell["outputs"])
    return "".join(str(output.get("text", "")) for output in outputs)


def shown(cells: nbformat.NotebookNode, id_: str) -> str:
    """Return what a cell displays as HTML."""
    (cell,) = [cell for cell in cells_of(cells) if cell["id"] == id_]
    outputs = cast("list[dict[str, dict[str, str]]]", cell["outputs"])
    return "".join(output.get("data", {}).get("text/html", "") for output in outputs)


def source_of(cell: nbformat.NotebookNode) -> str:
    return str(cell["source"])


def run_dir(folder: Path) -> Path:
    (found,) = [path for path in (folder / "runs").glob("comparison-*") if path.is_dir()]
    return found


def asked_twice(run: Path) -> list[object]:
    replies = [event for event in events_of(run) if isinstance(event, CompletionReceived)]
    counts = Counter((event.investigation, event.turn) for event in replies)
    return [key for key, n in counts.items() if n > 1]


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_it_runs_to_its_last_cell_and_the_second_time_does_nothing_twice(
    tmp_path: Path,
) -> None:
    first, second = notebook(), notebook()
    async with executing(first, tmp_path) as client:
        await client.async_execute()
    run = run_dir(tmp_path)
    before = (run / "events.jsonl").read_bytes()
    assert "FALLBACK: there is no GPU" in said(first, "machine")
    assert "HF_TOKEN: from Colab's secrets" in said(first, "secrets")
    assert "OPENAI_API_KEY: not there (SecretNotFoundError" in said(first, "secrets")
    assert "| code blocks executed |" in said(first, "summary")
    assert "every server has ended" in said(first, "stop")
    assert (tmp_path / "colab" / f"{run.name}.zip").stat().st_size > 1000
    async with executing(second, tmp_path) as client:
        await client.async_execute()
    assert "finished before" in said(second, "run")
    assert (run / "events.jsonl").read_bytes() == before
    assert not list(run.rglob("*hf_made-up*"))
    assert not [
        path for path in run.rglob("*") if path.is_file() and b"hf_made-up" in path.read_bytes()
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_interrupted_in_the_middle_and_run_again_it_continues(tmp_path: Path) -> None:
    first, second = interrupted(notebook(REPLICATES=3)), notebook(REPLICATES=3)
    async with executing(first, tmp_path) as client:
        with pytest.raises(CellExecutionError):
            await client.async_execute()
    n_before = len(events_of(run_dir(tmp_path)))
    async with executing(second, tmp_path) as client:
        await client.async_execute()
    run = run_dir(tmp_path)
    assert len(events_of(run)) > n_before
    assert not asked_twice(run)
    ended = json.loads((run / "summary.json").read_text())["investigations"]
    assert len(ended) == 6
    assert all(item["stop_reason"] for item in ended)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_an_interrupted_run_is_shown_and_packed_as_far_as_it_is_recorded(
    tmp_path: Path,
) -> None:
    cells = interrupted(notebook(REPLICATES=3))
    async with executing(cells, tmp_path, goes_on=True) as client:
        await client.async_execute()
    assert "unfinished" in said(cells, "summary")
    assert "<iframe srcdoc=" in shown(cells, "report")
    assert (tmp_path / "colab" / f"{run_dir(tmp_path).name}.zip").stat().st_size > 1000
    assert "every server has ended" in said(cells, "stop")


def test_every_script_is_offered_with_its_phase() -> None:
    folder = ROOT / "scripts" / "experiments"
    assert {path.name for path in folder.glob("phase*.py")} == SCRIPTS.keys()
    for name, phase in SCRIPTS.items():
        text = (folder / name).read_text()
        assert f'run_phase("{phase}"' in text or (
            phase == "comparison" and "run_comparison" in text
        )
    form = NOTEBOOK.read_text()
    assert all(name in form for name in SCRIPTS)


def test_its_cells_are_calls_without_outputs() -> None:
    cells = [cell for cell in cells_of(notebook()) if "outputs" in cell]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    words = ("for ", "while ", "def ", "try:", "else", "class ")
    lines = [line for cell in cells for line in source_of(cell).splitlines()]
    assert not [line for line in lines if line.lstrip().startswith(words)]
    assert sum(line.startswith("if ") for line in lines) == 1, "whether it is installed"


def test_cells_after_the_run_need_the_choice_and_nothing_that_the_run_leaves() -> None:
    cells = {str(cell["id"]): source_of(cell) for cell in cells_of(notebook())}
    for id_ in ("summary", "report", "download", "stop"):
        names = [node for node in ast.walk(ast.parse(cells[id_])) if isinstance(node, ast.Name)]
        assert {name.id for name in names} == {"notebook", "choice"}, id_
