"""What the documentation says in the sandbox is what happens: every function, the real worker."""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.functions import SOURCES
from engine.introspection.stubs import functions_of
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.sandbox import Workspace
from tests.introspection.drawn import DrawnProbe
from tests.introspection.functions import METHODS, signature

IMPORTS = f"from introspection import {', '.join(SOURCES)}\n"
NAME = "model.layers.0.mlp.down_proj.weight"
ACCEPTED: dict[str, list[object]] = {
    "layer_name": ["model.layers.0", ["model.layers.0", "model.norm"]],
    "parameter_name": [NAME, [NAME, "model.norm.weight"]],
    "other_parameter_name": ["model.norm.weight"],
    "filter_pattern": ["mlp", None],
    "top_k": [1, 40],
    "description": ["The embeddings are tied."],
    "category": ["pattern", None],
    "importance": [0, 0.5, 1],
    "tags": [["a", "b"], None],
    "metadata": [{"mean": 0.1, "list": [1, 2]}, None],
    "query": ["embeddings", None],
    "min_importance": [0, 0.5],
    "limit": [1, 40],
    "document_name": ["01-measured", "02-open.md"],
    "reflection": ["I measured before I read."],
    "message": ["I read what you left."],
    "discovery_type": ["architecture"],
    "evidence": [{"n_layers": 4}, None],
    "text": ["A cat sat down."],
    "other_text": ["It rained all day."],
    "texts": [["one thing", "two things"]],
    "reference_texts": [["The cat sat on the mat.", "It rained all day."]],
    "n_tokens": [1, 32],
    "threshold": [3.0, 1],
    "token_index": [-1, 0],
    "as_arrays": [False, True],
    "label": ["begin"],
}
"""Values that the documentation promises to take, by argument."""
WITH_HEADS: list[object] = ["model.layers.0", ["model.layers.0", "model.layers.1"], None]
"""Layers that have attention."""
PAIRED = {"as_arrays"}
"""Arguments that are given by their names only."""
WRITES = {"record_observation", "save_reflection", "record_discovery", "create_message_to_claude"}
TWO_TURNS = (
    "history.start_tracking()\nfor text in ('One.', 'Two.'):\n    history.record_turn(text)\n"
)


@pytest.fixture(scope="session", params=["drawn", pytest.param("torch", marks=pytest.mark.vllm)])
def probed(request: pytest.FixtureRequest) -> Subject | None:
    """A subject with a real probe; None for one whose numbers are drawn."""
    return request.getfixturevalue("torch_subject") if request.param == "torch" else None


@pytest.fixture
def subject(probed: Subject | None, checkpoint_dir: Path) -> Subject:
    return probed or Subject(open_checkpoint(checkpoint_dir), probe=DrawnProbe())


def documentation(module: str, name: str) -> str:
    return inspect.getdoc(getattr(SOURCES[module], name)) or ""


def section(doc: str, title: str) -> str:
    found = re.search(rf"^{title}:\n((?:    .*\n?|\n)+)", doc, re.MULTILINE)
    return dedent(found[1]).strip() if found else ""


def calls(module: str, name: str) -> Iterator[str]:
    """Yield one call for every documented value of every argument, the others at their first."""
    parameters = signature(module, name).parameters
    has_heads = module == "attention" or name == "capture_attention_weights"
    accepted = ACCEPTED | {"layer_name": WITH_HEADS} if has_heads else ACCEPTED
    first = {each: accepted[each][0] for each in parameters}
    for each, parameter in parameters.items():
        for value in accepted[each]:
            if isinstance(value, list) and "list" not in str(parameter.annotation):
                continue
            if value is None and "None" not in str(parameter.annotation):
                continue
            given = ", ".join(f"{key}={val!r}" for key, val in (first | {each: value}).items())
            yield f"{module}.{name}({given})"
    placed = [repr(value) for each, value in first.items() if each not in PAIRED]
    yield f"{module}.{name}({', '.join(placed)})"


async def run(workspace: Workspace, code: str) -> str:
    execution = await workspace.execute(IMPORTS + code)
    assert execution.error is None, execution.output
    return execution.output


def test_there_are_55_functions_in_ten_modules() -> None:
    counts = Counter(module for module, _ in METHODS)
    assert counts == {
        "architecture": 5,
        "weights": 6,
        "activations": 6,
        "temporal": 6,
        "attention": 5,
        "gradient": 4,
        "history": 8,
        "memory": 7,
        "generation": 1,
        "heritage": 7,
    }


@pytest.mark.parametrize(("module", "name"), METHODS)
def test_every_argument_is_documented_and_no_other(module: str, name: str) -> None:
    doc = documentation(module, name)
    documented = re.findall(r"^(\w+):", section(doc, "Args"), re.MULTILINE)
    assert documented == list(signature(module, name).parameters)
    assert re.fullmatch(r"[A-Z].*[.]", doc.partition("\n")[0])
    assert section(doc, "Returns")


async def test_every_example_runs(workspace: Workspace) -> None:
    for module, name in METHODS:
        example = section(documentation(module, name), "Example")
        assert f"{module}.{name}(" in example
        output = await run(workspace, example)
        assert output or name in WRITES


async def test_every_documented_value_is_accepted(workspace: Workspace) -> None:
    for module, name in METHODS:
        for call in calls(module, name):
            await run(workspace, TWO_TURNS * (module == "history") + call)


async def test_keys_of_an_answer_are_documented(workspace: Workspace) -> None:
    by_name = {"get_layer_parameters", "list_categories", "get_shared_weights"}
    for category in ("pattern", "theory", "belief"):
        await run(workspace, f"memory.record_observation('embeddings', category={category!r})")
    for module, name in METHODS:
        if name in by_name:
            continue
        call = next(calls(module, name))
        before = TWO_TURNS * (module == "history")
        listed = (
            f"{before}answer = {call}\nfirst = answer[0] if isinstance(answer, list) else answer\n"
        )
        keys = (await run(workspace, listed + "print(*first)")).split()
        doc = documentation(module, name).replace("dicts as in query_observations", OBSERVATION)
        assert keys, call
        assert not set(keys) - set(re.findall(r"\w+", doc)), call


OBSERVATION = "id, description, category, importance, tags, metadata"


async def test_signatures_in_the_sandbox_are_those_of_the_host(
    workspace: Workspace, table: CapabilityTable
) -> None:
    assert table.lines
    for module, name in METHODS:
        shown = await run(workspace, f"import inspect\nprint(inspect.signature({module}.{name}))")
        host = inspect.signature(getattr(SOURCES[module], name))
        bare = host.replace(parameters=list(host.parameters.values())[1:])
        assert shown.strip() == str(bare)


async def test_help_shows_the_docstring(workspace: Workspace) -> None:
    for module, name in METHODS:
        shown = await run(workspace, f"help({module}.{name})")
        for line in documentation(module, name).splitlines():
            assert line.strip() in shown


async def test_help_of_a_module_names_its_functions_at_the_beginning(workspace: Workspace) -> None:
    for module in SOURCES:
        shown = (await run(workspace, f"help({module})"))[:1000]
        assert {name for of, name in METHODS if of == module} <= set(re.findall(r"\w+", shown))


async def test_dir_shows_the_functions_and_nothing_else(
    workspace: Workspace, subject: Subject
) -> None:
    assert subject.sources
    for module, kind in SOURCES.items():
        shown = await run(workspace, f"print(*dir({module}))")
        assert shown.split() == sorted(name for of, name in METHODS if of == module)
        assert kind.__doc__ is not None


async def test_every_call_refuses_an_undocumented_argument(workspace: Workspace) -> None:
    for module, name in METHODS:
        execution = await workspace.execute(f"{IMPORTS}{module}.{name}(unheard_of=1)")
        assert execution.error is not None
        assert execution.error.kind == "TypeError"
        assert execution.error.message.endswith(
            f"got an unexpected keyword argument 'unheard_of'. See help({module}.{name})"
        )


def test_functions_are_those_of_the_class(subject: Subject) -> None:
    found: dict[str, Callable[..., object]] = functions_of(subject.sources["architecture"])
    assert list(found) == [name for module, name in METHODS if module == "architecture"]
