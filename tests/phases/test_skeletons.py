"""Each phase as it runs: its experiments, when documents appear, when code is on, how it ends."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from engine.chat.scripted import Answer, Script, ScriptedBackend, in_order
from engine.events import (
    AnyEvent,
    ExperimentEnded,
    ExperimentStarted,
    InvestigationResumed,
    TurnEnded,
)
from engine.introspection.documents import open_documents
from engine.introspection.generation import generated
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.loop import Parts, investigate
from engine.phase import DocumentsKind, Experiment, Phase, Requirements
from engine.sandbox import Limits, Sandbox
from engine.sandbox.host import open_sandbox
from engine.standing import Standing
from engine.transcript import Completion, Conversation, StopReason, Usage
from phases.load import documents_folder, get_phase, list_phases
from tests.engine.investigating import CASE, DONE, Kept, run_block

LOOK = """
try:
    from introspection import WORD
    print(sorted(name for name in dir(WORD) if name[0] != "_"))
except ImportError as error:
    print(error)
"""
KINDS: tuple[DocumentsKind, ...] = ("true", "wrong")
_FROM, _TO = 300, 380
CODE, WORDS = "code", "words"
NO, TRUE, WRONG = None, "true", "wrong"
SKELETONS = {
    "1a": [
        ("architecture", CODE, NO),
        ("activations", CODE, NO),
        ("conclusions", CODE, NO),
    ],
    "1a-research": [
        ("architecture-paper", CODE, NO),
        ("activation-patterns", CODE, NO),
        ("synthesis", CODE, NO),
    ],
    "1b": [
        ("architecture", CODE, TRUE),
        ("activations", CODE, TRUE),
        ("conclusions", CODE, TRUE),
    ],
    "1c": [
        ("architecture", CODE, NO),
        ("activations", CODE, NO),
        ("conclusions", CODE, TRUE),
    ],
    "1c-modified": [
        ("tools", WORDS, TRUE),
        ("conditions", WORDS, TRUE),
        ("expectations", WORDS, TRUE),
        ("investigation", CODE, TRUE),
        ("critical-test", CODE, TRUE),
    ],
    "1d": [
        ("architecture", CODE, NO),
        ("activations", CODE, NO),
        ("conclusions", CODE, NO),
        ("revision", CODE, TRUE),
    ],
    "1e": [
        ("architecture", CODE, WRONG),
        ("activations", CODE, WRONG),
        ("conclusions", CODE, WRONG),
    ],
    "comparison": [("architecture", CODE, NO)],
}
REQUIRED = {
    "architecture-paper": (3, 2),
    "activation-patterns": (3, 2),
    "synthesis": (2, 1),
}


def a_completion(text: str, finish_reason: str = "stop") -> Completion:
    return Completion(text=text, finish_reason=finish_reason, usage=Usage(), sent=0, received=0)


@asynccontextmanager
async def parts_of(
    phase: Phase, script: Script, sandbox: Sandbox | None = None
) -> AsyncGenerator[tuple[Parts, Kept]]:
    """Real parts for `phase`, without a checkpoint."""
    standing, kept = Standing(), Kept()
    report = partial(generated, phase, standing, window=None)
    kind = phase.heritage.documents if phase.heritage else "true"
    powers = CapabilityTable(
        [name for name in phase.capabilities if name in ("memory", "generation")],
        subject=Subject(),
        generation=report,
        documents=open_documents(documents_folder(kind)),
    )
    async with open_sandbox(Limits()) as own:
        yield (
            Parts(
                phase=phase,
                chat=ScriptedBackend(script),
                sandbox=sandbox or own,
                powers=powers,
                record=kept,
                standing=standing,
            ),
            kept,
        )


def looking(conversation: Conversation, _seed: int) -> Answer:
    """In every experiment: try to import the documents, read from the first, and finish."""
    said = conversation.messages
    opening = max(n for n, each in enumerate(said) if "Experiment:" in each.content)
    n_before = sum(each.role == "assistant" for each in said[opening:])
    read = (
        "if 'heritage' in dir():\n"
        "    name = heritage.list_documents()[0]['name']\n"
        f"    print(heritage.read_document(name)['text'][{_FROM}:{_TO}])"
    )
    steps = (run_block(LOOK.replace("WORD", "heritage")), run_block(read), DONE)
    return steps[min(n_before, len(steps) - 1)]


async def played(phase: Phase, script: Script) -> Kept:
    async with parts_of(phase, script) as (parts, kept):
        await investigate(CASE, parts)
    return kept


def test_every_phase_has_its_skeleton() -> None:
    assert sorted(SKELETONS) == list(list_phases())


@pytest.mark.parametrize("key", SKELETONS)
async def test_a_phase_runs_as_its_skeleton_says(key: str) -> None:
    phase = get_phase(key)
    phase = phase.model_copy(update={"experiments": tuple(map(_unrequired, phase.experiments))})
    kept = await played(phase, looking)
    assert _skeleton(kept) == SKELETONS[key]
    ends = [event.stop_reason for event in kept.events if isinstance(event, ExperimentEnded)]
    assert set(ends) == {StopReason.COMPLETED}


def _unrequired(experiment: Experiment) -> Experiment:
    return experiment.model_copy(update={"requires": Requirements()})


def _skeleton(kept: Kept) -> list[tuple[str, str, str | None]]:
    """Return what was seen: (experiment, code or words, documents)."""
    found: list[tuple[str, str, str | None]] = []
    name, outputs, is_announced = "", list[str](), False
    for event in kept.events:
        match event:
            case ExperimentStarted():
                name, outputs = event.experiment, []
                is_announced = "introspection.heritage" in event.messages[-1].content
            case TurnEnded():
                outputs += [execution.output for execution in event.executions]
            case ExperimentEnded():
                found.append(
                    (
                        name,
                        CODE if outputs else WORDS,
                        _documents(outputs, is_announced=is_announced),
                    )
                )
            case _:
                pass
    return found


def _documents(outputs: list[str], *, is_announced: bool) -> str | None:
    text = "\n".join(outputs)
    if not outputs:
        return TRUE if is_announced else NO
    assert is_announced == ("list_documents" in text), text
    if not is_announced:
        return NO
    texts = {kind: open_documents(documents_folder(kind)).all[0].text for kind in KINDS}
    (shown,) = [kind for kind, each in texts.items() if each[_FROM:_TO] in text]
    return shown


@pytest.mark.parametrize("key", SKELETONS)
async def test_every_experiment_with_code_ends_by_the_phrase_too(key: str) -> None:
    kept = await played(get_phase(key), in_order(["Experiment complete."]))
    ended = [event for event in kept.events if isinstance(event, ExperimentEnded)]
    assert {event.stop_reason for event in ended} == {StopReason.COMPLETED}
    asked = {
        event.requirements.experiment: (
            event.requirements.min_code_blocks,
            event.requirements.min_findings,
        )
        for event in ended
        if event.requirements
    }
    assert asked == (REQUIRED if key == "1a-research" else {})


@pytest.mark.parametrize(("key", "n_turns"), [("1a", 50), ("comparison", 5), ("1c-modified", 50)])
async def test_an_experiment_is_capped_and_says_how_many_turns_are_left(
    key: str, n_turns: int
) -> None:
    phase = get_phase(key)
    only = next(each for each in phase.experiments if each.has_code)
    kept = await played(
        phase.model_copy(update={"experiments": (only,), "heritage": None}), _counting
    )
    turns = [event for event in kept.events if isinstance(event, TurnEnded)]
    assert len(turns) == n_turns
    assert turns[-1].ends == StopReason.TURN_LIMIT
    reminded = [n for n, turn in enumerate(turns, 1) if " turns used, " in (turn.observation or "")]
    assert reminded == ([10, 20, 30, 40, 45] if n_turns == 50 else [])


def _counting(conversation: Conversation, _seed: int) -> Answer:
    return run_block(f"print({len(conversation.messages)})")


async def test_what_is_hidden_cannot_be_told_from_what_does_not_exist() -> None:
    def trying(word: str) -> Script:
        attempts = (
            LOOK.replace("WORD", word),
            f"import introspection\nprint(introspection.{word})",
            f"import introspection\nhelp('introspection.{word}')\nprint(dir(introspection))",
            f"import importlib\nprint(importlib.import_module('introspection.{word}'))",
        )
        return in_order([*map(run_block, attempts), DONE])

    shown: dict[str, list[str | None]] = {}
    for word in ("heritage", "nonsense"):
        kept = await played(get_phase("1c"), trying(word))
        turns = [event for event in kept.events if isinstance(event, TurnEnded)]
        shown[word] = [(turn.observation or "").replace(word, "WORD") for turn in turns[:4]]
    assert shown["heritage"] == shown["nonsense"]


async def test_heritage_survives_a_kill_at_every_event() -> None:
    phase = get_phase("1c")
    whole = await played(phase, looking)
    events = [event for event in whole.events if isinstance(event, AnyEvent)]
    for place in range(1, len(events)):
        async with parts_of(phase, looking) as (parts, kept):
            reason = await investigate(CASE, parts, events[:place])
        resumed = [event for event in kept.events if isinstance(event, InvestigationResumed)]
        assert [event.is_exact for event in resumed] == [True]
        assert reason == StopReason.COMPLETED
        rest = [event for event in kept.events if isinstance(event, TurnEnded)]
        before = [event for event in events[:place] if isinstance(event, TurnEnded)]
        said = [event.observation for event in (*before, *rest)]
        assert said == [event.observation for event in events if isinstance(event, TurnEnded)]


def openings(kept: Kept) -> dict[str, str]:
    """Return by experiment the message that opens it."""
    return {
        event.experiment: event.messages[-1].content
        for event in kept.events
        if isinstance(event, ExperimentStarted)
    }


async def test_before_code_is_executed_documents_are_announced_as_opening_later() -> None:
    said = openings(await played(get_phase("1c-modified"), looking))
    later = [name for name, text in said.items() if "will be open to you once" in text]
    assert later == ["tools", "conditions", "expectations"]
    assert not any("list_documents" in said[name] for name in later)


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        (a_completion(""), "Your reply was empty. Answer in words."),
        (a_completion("I can measure my", "length"), "cut at the token limit. Answer again"),
        (a_completion("I can. " * 200, "length"), "repeated itself until it was cut. Answer again"),
    ],
)
async def test_where_no_code_is_executed_a_spoilt_reply_is_answered_without_a_word_on_code(
    spoilt: Completion, words: str
) -> None:
    kept = await played(get_phase("1c-modified"), in_order([spoilt, "In words."]))
    first = next(event for event in kept.events if isinstance(event, TurnEnded))
    assert words in (first.observation or "")
    assert "code" not in (first.observation or "")
    assert "EXPERIMENT_COMPLETE" not in (first.observation or "")


async def test_where_no_code_is_executed_no_nudge_asks_for_any() -> None:
    spoilt = a_completion("I can measure my", "length")
    kept = await played(get_phase("1c-modified"), in_order([spoilt] * 4 + ["In words."]))
    said = [event.observation or "" for event in kept.events if isinstance(event, TurnEnded)]
    nudges = [text for text in said if "the same several times" in text]
    assert nudges
    assert not any("EXPERIMENT_COMPLETE" in text or "code" in text for text in nudges)


async def test_what_is_said_about_documents_is_said_only_where_they_are_granted() -> None:
    phase = get_phase("1d")
    without = phase.model_copy(update={"heritage": None})
    said = [openings(await played(each, looking))["revision"] for each in (phase, without)]
    assert ["documents" in text for text in said] == [True, False]
    assert said[0].endswith("Read these documents before you decide.")


@pytest.mark.parametrize("key", SKELETONS)
def test_no_prompt_of_an_experiment_takes_documents_for_granted(key: str) -> None:
    prompts = [stage.prompt.lower() for stage in get_phase(key).experiments]
    assert not [text for text in prompts if "document" in text]


async def test_an_unmet_requirement_is_told_once_and_stored() -> None:
    phase = get_phase("1a-research")
    only = phase.model_copy(update={"experiments": phase.experiments[:1]})
    kept = await played(only, in_order([DONE]))
    turns = [event for event in kept.events if isinstance(event, TurnEnded)]
    assert [turn.is_told_shortfall for turn in turns] == [True, False]
    assert "at least 3 executed code blocks and 2 stored findings" in (turns[0].observation or "")
    (ended,) = [event for event in kept.events if isinstance(event, ExperimentEnded)]
    assert ended.requirements is not None
    assert (ended.requirements.code_blocks, ended.requirements.findings) == (2, 0)
    assert not ended.requirements.is_met


async def test_a_met_requirement_is_not_mentioned() -> None:
    store = (
        "from introspection import memory\n"
        "memory.record_observation('a')\nmemory.record_observation('b')"
    )
    phase = get_phase("1a-research")
    only = phase.model_copy(update={"experiments": phase.experiments[:1]})
    kept = await played(only, in_order([run_block(store), run_block("print(1)"), DONE]))
    turns = [event for event in kept.events if isinstance(event, TurnEnded)]
    assert not any(turn.is_told_shortfall for turn in turns)
    (ended,) = [event for event in kept.events if isinstance(event, ExperimentEnded)]
    assert ended.requirements is not None
    assert ended.requirements.is_met
