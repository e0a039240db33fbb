"""The baseline phase as it is carried out: all that its worker can reach, down to its memory."""

import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from engine.introspection.documents import Documents, open_documents
from engine.introspection.generation import Generated
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.sandbox import Limits, Workspace
from engine.sandbox.host import open_sandbox
from phases.load import documents_folder, get_phase
from tests.introspection.functions import METHODS
from tests.processes import children

TERMS = ("heritage", *(name for module, name in METHODS if module == "heritage"))
PASSAGE = 40
LOOK_AT_ALL = """
import gc, inspect, introspection, pydoc, sys

texts = [pydoc.render_doc(introspection), introspection.__doc__, str(dir(introspection))]
modules = [m for n, m in list(sys.modules.items()) if n.startswith("introspection")]
for module in modules:
    texts += [pydoc.render_doc(module), str(dir(module)), repr(vars(module))]
    texts += [module.__spec__.loader.get_source(module.__name__)]
    for name in dir(module):
        value = getattr(module, name)
        texts += [str(value.__doc__), repr(getattr(value, "__wrapped__", None))]
        for call in ({}, {"no_such_argument": 1}):
            try:
                texts.append(repr(value(**call)))
            except Exception as error:
                texts.append(f"{type(error).__name__}: {error}")
for each in gc.get_objects():
    if type(each) is dict:
        texts += [word for word in each if type(word) is str]
texts += [introspection.memory.record_observation("I look at my layers.").__repr__()]
texts += [repr(introspection.memory.query_observations("layers"))]
texts += [repr(introspection.memory.get_memory_summary())]
print(pydoc.plain("\\n".join(texts)))
"""


@pytest.fixture
def sets() -> dict[str, Documents]:
    return {kind: open_documents(documents_folder(kind)) for kind in ("true", "wrong")}


@pytest.fixture
def powers(subject: Subject, sets: dict[str, Documents], figures: Generated) -> CapabilityTable:
    """What an investigation of 1a gets where everything is there."""
    granted = get_phase("1a").capabilities
    assert "heritage" not in granted
    assert len(granted) == 9
    return CapabilityTable(
        granted, subject=subject, generation=lambda: figures, documents=sets["true"]
    )


@pytest.fixture
def others() -> set[psutil.Process]:
    """Children of other tests, which last longer."""
    return children()


@pytest.fixture
async def workspace_of_1a(powers: CapabilityTable) -> AsyncIterator[Workspace]:
    limits = Limits(output_chars=2_000_000)
    async with (
        open_sandbox(limits) as sandbox,
        sandbox.open(modules=powers.modules, answer=powers.answer) as opened,
    ):
        yield opened


def passages(sets: dict[str, Documents]) -> Iterator[str]:
    """Parts of all documents, each long enough to stand in no other text."""
    for documents in sets.values():
        for each in documents.all:
            yield each.title
            flat = " ".join(each.text.split())
            yield from (flat[at : at + PASSAGE] for at in range(0, len(flat) - PASSAGE, 400))


async def test_all_that_code_can_look_at_names_no_document(
    workspace_of_1a: Workspace, sets: dict[str, Documents]
) -> None:
    execution = await workspace_of_1a.execute(LOOK_AT_ALL)
    assert execution.error is None, execution.output
    assert "find_similar_weights" in execution.output
    assert "TypeError: " in execution.output
    found = [term for term in TERMS if re.search(rf"(?i)\b{term}", execution.output)]
    flat = " ".join(execution.output.split())
    assert found + [passage for passage in passages(sets) if passage in flat] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of a sealed process")
async def test_the_memory_of_its_processes_names_no_document(
    others: set[psutil.Process], workspace_of_1a: Workspace, sets: dict[str, Documents]
) -> None:
    before = "from introspection import memory, weights\nprint(memory.query_beliefs())"
    assert (await workspace_of_1a.execute(before)).error is None
    held = b"".join(memory_of(child.pid) for child in children() - others)
    assert b"find_similar_weights" in held
    few = [each.text[100 : 100 + PASSAGE] for documents in sets.values() for each in documents.all]
    sought = [term.encode() for term in (*TERMS, *few)]
    assert [term for term in sought if term in held] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of a sealed process")
async def test_memory_shows_what_is_granted(workspace: Workspace) -> None:
    """So that the scan above would find it."""
    assert (await workspace.execute("from introspection import heritage")).error is None
    held = b"".join(memory_of(child.pid) for child in children())
    assert [term for term in TERMS if term.encode() not in held] == []


def memory_of(pid: int) -> bytes:
    """Return what a process holds and can write: code of libraries aside."""
    held: list[bytes] = []
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            place, rights = line.split()[:2]
            first, last = (int(each, 16) for each in place.split("-"))
            if rights.startswith("rw"):
                memory.seek(first)
                held.append(memory.read(last - first))
    return b"".join(held)
