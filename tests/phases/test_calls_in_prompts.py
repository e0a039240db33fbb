"""Whatever the prompts name between back-ticks as Python is run as it stands, and works."""

import ast
import re
from functools import partial

import pytest

from engine.chat.scripted import ScriptedBackend
from engine.events import TurnEnded
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.documents import open_documents
from engine.introspection.generation import generated
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.loop import Parts, investigate
from engine.observation import shorten
from engine.phase import Phase
from engine.prompts import render
from engine.sandbox import Limits
from engine.sandbox.host import open_sandbox
from engine.standing import Standing
from engine.transcript import Conversation, Execution
from phases.load import documents_folder, get_phase, list_phases
from servers.embedded.model import tiny_models
from tests.engine.investigating import CASE, Kept, run_block
from tests.introspection.drawn import DrawnProbe

DONE = 'print("EXPERIMENT_COMPLETE")'
MEANT = {
    "description": '"I have layers."',
    "category": '"architecture"',
    "name": 'heritage.list_documents()[0]["name"]',
}
"""What a prompt leaves open in a call, and a model puts in its place."""
WITHOUT_WEIGHTS = ("memory", "generation")


def calls_in(said: str) -> list[str]:
    """Return what calls or imports something, in its order; what ends an experiment comes last."""
    quoted = dict.fromkeys(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", said))
    return sorted(filter(_does_something, quoted), key=lambda code: code == DONE)


def _does_something(code: str) -> bool:
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except SyntaxError:
        return False
    return any(isinstance(node, ast.Call | ast.Import | ast.ImportFrom) for node in nodes)


def filled(code: str) -> str:
    """Return `code` after what it leaves open."""
    names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    return "\n".join([*(f"{name} = {MEANT[name]}" for name in names & set(MEANT)), code])


def obedient(conversation: Conversation, _seed: int) -> str:
    """Run the example, then every call that was said and not run yet, each in a reply."""
    said = [each.content for each in conversation.messages if each.role != "assistant"]
    if "no code is executed" in said[-1]:
        return "In words."
    ran = "\n".join(each.content for each in conversation.messages if each.role == "assistant")
    (example,) = re.findall(r"```python\n(.*?)\n```", said[0], re.DOTALL)
    wanted = [example, *(filled(code) for code in calls_in("\n".join(said)))]
    return run_block(next((code for code in wanted if run_block(code) not in ran), DONE))


async def executions_in(phase: Phase, granted: tuple[str, ...]) -> list[Execution]:
    """Play `phase` with real introspection of the smallest model that ships."""
    standing, kept = Standing(), Kept()
    kind = phase.heritage.documents if phase.heritage else "true"
    powers = CapabilityTable(
        granted,
        subject=Subject(open_checkpoint(tiny_models()[0].directory), probe=DrawnProbe()),
        generation=partial(generated, phase, standing, window=None),
        documents=open_documents(documents_folder(kind)),
    )
    async with open_sandbox(Limits()) as sandbox:
        chat = ScriptedBackend(obedient)
        parts = Parts(
            phase=phase, chat=chat, sandbox=sandbox, powers=powers, record=kept, standing=standing
        )
        await investigate(CASE, parts)
    turns = [event for event in kept.events if isinstance(event, TurnEnded)]
    return [execution for turn in turns for execution in turn.executions]


@pytest.mark.parametrize("key", list_phases())
async def test_every_call_of_the_prompts_of_a_phase_works_after_its_example(key: str) -> None:
    phase = get_phase(key)
    ran = await executions_in(phase, phase.capabilities)
    assert [one.code for one in ran if one.error] == []
    called = {call.method for one in ran for call in one.calls}
    assert {"architecture.get_architecture_summary", "memory.record_observation"} <= called
    assert ("heritage.read_document" in called) == (phase.heritage is not None)


async def test_every_call_of_the_prompts_works_without_weights_too() -> None:
    ran = await executions_in(get_phase("1b"), WITHOUT_WEIGHTS)
    assert [one.code for one in ran if one.error] == []


def system_prompt(*names: str) -> str:
    lines = [(name, "A module.") for name in names]
    texts = get_phase("1a").texts
    return render(texts.system, modules=lines, names=names, done_signal="DONE")


@pytest.mark.parametrize(
    ("names", "is_explained"),
    [
        (("architecture", "memory"), True),
        (("weights",), True),
        (("memory",), False),
        (("generation", "memory"), False),
    ],
)
def test_names_of_layers_are_explained_only_where_they_can_be_asked_about(
    names: tuple[str, ...], *, is_explained: bool
) -> None:
    assert ("model.layers.0" in system_prompt(*names)) == is_explained


def test_every_arm_is_told_from_what_length_on_outputs_are_shortened() -> None:
    (told,) = re.findall(r"beyond ([\d,]+) characters is shortened", system_prompt("memory"))
    most = int(told.replace(",", ""))
    assert shorten("x" * most) == "x" * most
    assert "shortened" in shorten("x" * (most + 1))


def test_arms_with_documents_are_told_nothing_more_about_outputs() -> None:
    assert "shortened" not in get_phase("1b").texts.heritage
