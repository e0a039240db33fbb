"""A baseline investigation can reach nothing that only other conditions have."""

import re
import sys
from pathlib import Path

import msgspec
import pytest

from engine.errors import CapabilityError
from engine.introspection.documents import Documents
from engine.introspection.probe import PROBED
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.sandbox import Workspace

FORBIDDEN = re.compile(
    r"(?i)heritage|reflection|\bdocuments?\b|predecessor|message_to|claude|discover"
    r"|earlier (model|system)|condition|phase|baseline|experiment|granted|hidden(?!_size)"
)

REACHABLE = """
import introspection, pydoc, sys

texts = [str(dir(introspection)), introspection.__doc__, pydoc.render_doc(introspection)]
for module in [m for n, m in sys.modules.items() if n.startswith("introspection")]:
    texts += [str(dir(module)), str(list(vars(module))), pydoc.render_doc(module)]
    texts += [module.__spec__.loader.get_source(module.__name__)]
    for name in dir(module):
        value = getattr(module, name)
        texts += [str(value), str(value.__doc__)]
print(pydoc.plain("\\n".join(texts)))
"""

ERRORS = """
import introspection
from introspection import architecture, memory, weights

def attempt(call):
    try:
        return str(call())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

print(attempt(lambda: introspection.WORD))
print(attempt(lambda: __import__("introspection.WORD")))
print(attempt(lambda: exec("from introspection import WORD")))
print(attempt(lambda: exec("import WORD")))
print(attempt(lambda: architecture.WORD))
print(attempt(lambda: architecture.describe_layer("WORD")))
print(attempt(lambda: weights.get_weight_statistics("WORD")))
print(attempt(lambda: memory.query_observations("WORD")))
print(attempt(lambda: memory.record_observation(WORD=1)))
"""


async def shown(workspace: Workspace, code: str) -> str:
    execution = await workspace.execute(code)
    assert execution.error is None, execution.output
    return execution.output


async def test_nothing_reachable_names_another_condition(baseline_workspace: Workspace) -> None:
    text = await shown(baseline_workspace, REACHABLE)
    assert "query_observations" in text
    assert FORBIDDEN.search(text) is None


SHOWN = """
import importlib.util, introspection, sys
from introspection import architecture, memory

for each in (introspection, architecture):
    print(each, each.__spec__, each.__loader__, importlib.util.find_spec(each.__name__))
    print([repr(value) for name, value in vars(each).items() if name != "__builtins__"])
print(sys.meta_path, sys.path_hooks, sys.stdout, sys.stderr, sys.argv, sys.path)
print({name: repr(value) for name, value in memory.__builtins__.items() if name == "_ask"})
print([(name, repr(module)) for name, module in sorted(sys.modules.items())])
print(memory.query_beliefs.__code__.co_filename, help, exit)
"""


async def test_what_modules_are_shown_as_tells_nothing_of_the_host(
    baseline_workspace: Workspace,
) -> None:
    text = await shown(baseline_workspace, SHOWN)
    assert "<module 'introspection.architecture' (built-in)>" in text
    assert re.findall(r"engine\.\S*|SourceFinder|Asker|NothingElse", text) == []
    here = (str(Path.cwd()), str(Path.home()), sys.prefix, sys.base_prefix, str(Path(__file__)))
    assert [path for path in here if path in text] == []


async def test_errors_do_not_tell_the_hidden_from_the_absent(baseline_workspace: Workspace) -> None:
    answers = {
        word: (await shown(baseline_workspace, ERRORS.replace("WORD", word))).replace(word, "WORD")
        for word in ("heritage", "activations", "history", "generation", "nonsense")
    }
    assert set(answers.values()) == {answers["nonsense"]}


@pytest.mark.parametrize("arguments", [{}, {"text": "Hello"}, {"layer_name": 3, "WORD": None}])
async def test_the_host_answers_hidden_and_absent_methods_with_the_same_bytes(
    baseline: CapabilityTable, arguments: dict[str, object]
) -> None:
    answers: set[bytes] = set()
    for module, name in (
        ("activations", "capture_activations"),
        ("history", "record_turn"),
        ("heritage", "list_documents"),
        ("generation", "get_generation_info"),
        ("memory", "capture_activations"),
        ("nonsense", "capture_activations"),
        ("architecture", "__init__"),
        ("", ""),
    ):
        method = f"{module}.{name}"
        with pytest.raises(CapabilityError) as refusal:
            await baseline.answer(method, arguments)
        told = (refusal.value.kind, str(refusal.value), repr(refusal.value.__cause__))
        answers.add(msgspec.json.encode(told).replace(method.encode(), b"METHOD"))
    assert len(answers) == 1


def test_documents_that_are_not_granted_leave_no_trace(
    subject: Subject, documents: Documents, baseline: CapabilityTable
) -> None:
    granted = ("architecture", "weights", "memory")
    with_documents = CapabilityTable(granted, subject=subject, documents=documents)
    assert with_documents.modules == baseline.modules
    assert with_documents.lines == baseline.lines


def test_no_source_names_what_was_not_granted(baseline: CapabilityTable) -> None:
    text = "\n".join(baseline.modules.values()) + str(baseline.lines)
    assert FORBIDDEN.search(text) is None
    assert not re.search(r"\b(activations|gradient|temporal|generation)\b", text)


def test_what_every_phase_may_grant_names_nothing_that_only_some_have(subject: Subject) -> None:
    granted = ("architecture", "weights", *PROBED, "memory")
    table = CapabilityTable(granted, subject=subject)
    text = "\n".join(table.modules.values()) + str(table.lines)
    assert FORBIDDEN.search(text) is None
