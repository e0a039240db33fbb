"""Transcripts of the teacher: the project's own loop, sandbox and introspection, played through."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.cli.knowledge import Knowledge
from engine.errors import EngineError
from engine.events import CompletionReceived, Event, ExperimentEnded, ExperimentStarted, TurnEnded
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.generation import generated
from engine.introspection.subject import Subject
from engine.loop import Parts, investigate
from engine.phase import Phase
from engine.sandbox import Limits, Sandbox
from engine.sandbox.host import open_sandbox
from engine.standing import Standing
from engine.transcript import Investigation, Message
from phases.load import get_phase
from scripts.tiny.checkpoints import own_builds, random_build, write_checkpoint
from scripts.tiny.encoding import Taught
from scripts.tiny.granting import bare_knowledge
from scripts.tiny.notes import Notes
from scripts.tiny.shape import MAX_POSITIONS
from scripts.tiny.teacher import Teacher
from scripts.tiny.wordings import reworded

_OWN_SHARE = 0.45
"""Share of checkpoints with the shape of the tiny models, which mostly investigate themselves."""
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is played."""

    n_comparison: int
    n_baseline: int
    n_checkpoints: int = 90


@dataclass(frozen=True)
class Played:
    """One transcript and the ends of its experiments."""

    messages: Sequence[Taught]
    ends: Sequence[str]


def play(sizes: Sizes, *, seed: int) -> dict[str, list[Played]]:
    """Return the transcripts by phase: "comparison" and "1a"."""
    return asyncio.run(_play(sizes, random.Random(seed)))  # noqa: S311 - drawn from a seed to be repeatable


async def _play(sizes: Sizes, rng: random.Random) -> dict[str, list[Played]]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        names = [str(n) for n in range(sizes.n_checkpoints)]
        knowledge = bare_knowledge({name: _subject(folder / name, rng) for name in names})
        sandbox = await stack.enter_async_context(open_sandbox(Limits()))
        counts = {"comparison": sizes.n_comparison, "1a": sizes.n_baseline}
        return {
            key: await _play_phase(get_phase(key), n, knowledge, sandbox, rng)
            for key, n in counts.items()
        }


def _subject(folder: Path, rng: random.Random) -> Subject:
    build = rng.choice(own_builds()) if rng.random() < _OWN_SHARE else random_build(rng)
    write_checkpoint(build, folder, rng)
    return Subject(open_checkpoint(folder))


async def _play_phase(
    phase: Phase, n: int, knowledge: Knowledge, sandbox: Sandbox, rng: random.Random
) -> list[Played]:
    seeds = [rng.randrange(2**31) for _ in range(n)]
    played: list[Played | None] = [None] * n
    pending = iter(enumerate(seeds))

    async def work() -> None:
        for place, seed in pending:
            played[place] = await _play_one(phase, knowledge, sandbox, seed)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())
    return [each for each in played if each]


async def _play_one(phase: Phase, knowledge: Knowledge, sandbox: Sandbox, seed: int) -> Played:
    rng = random.Random(seed)  # noqa: S311 - drawn from a seed to be repeatable
    standing = Standing()
    report = partial(generated, phase, standing, window=MAX_POSITIONS)
    table = knowledge.powers(rng.choice(list(knowledge.subjects)), phase, report)
    said, powers = reworded(phase, table, rng)
    teacher = Teacher(iter([each.name for each in phase.experiments]), seed)
    notes = Notes()
    case = Investigation(id="taught", model="teacher", phase=phase.key, replicate=0, seed=seed)
    parts = Parts(
        phase=said, chat=teacher, sandbox=sandbox, powers=powers, record=notes, standing=standing
    )
    try:
        await investigate(case, parts)
    except EngineError as error:
        raise RuntimeError(f"transcript {seed} of {phase.key} failed") from error
    return _transcript(notes.events, [reply.is_taught for reply in teacher.replies])


def _transcript(events: Sequence[Event], taught: Sequence[bool]) -> Played:
    messages: list[Taught] = []
    ends: list[str] = []
    is_taught = iter(taught)
    observed: str | None = None
    for event in events:
        match event:
            case ExperimentStarted():
                messages += [Taught(message, is_taught=False) for message in event.messages]
                observed = None  # what ended the experiment before stands in the prompt
            case CompletionReceived():
                if observed is not None:
                    messages.append(Taught(Message("user", observed), is_taught=False))
                reply = Message("assistant", event.completion.text)
                messages.append(Taught(reply, is_taught=next(is_taught)))
            case TurnEnded():
                observed = event.observation
            case ExperimentEnded():
                ends.append(event.stop_reason)
            case _:
                pass
    return Played(messages, ends)
