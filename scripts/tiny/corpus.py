"""Transcripts of the teacher: the project's own loop, sandbox and introspection, played through."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.cli.knowledge import Knowledge
from engine.errors import EngineError
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.generation import generated
from engine.introspection.subject import Subject
from engine.loop import Parts, Powers, investigate
from engine.phase import Phase
from engine.sandbox import Limits, Sandbox
from engine.sandbox.host import open_sandbox
from engine.standing import Standing
from engine.transcript import Investigation
from phases.load import get_phase
from scripts.tiny.checkpoints import own_builds, random_build, write_checkpoint
from scripts.tiny.granting import bare_knowledge
from scripts.tiny.lessons import Played, played
from scripts.tiny.notes import Notes
from scripts.tiny.papers import shuffled
from scripts.tiny.shape import MAX_POSITIONS
from scripts.tiny.teacher import Teacher
from scripts.tiny.wordings import reworded

_OWN_SHARE = 0.45
"""Share of checkpoints with the shape of the tiny models, which mostly investigate themselves."""
_SHIPPED_SHARE = 0.6
"""Share of investigations that can read the documents that ship, under their own names."""
_AT_ONCE = 8

_WINDOWS = (MAX_POSITIONS, MAX_POSITIONS, MAX_POSITIONS, MAX_POSITIONS, 2400)
"""Context windows in tokens: at times so small that the conversation has to be summarised."""


def play(
    counts: Mapping[str, int], *, seed: int, n_checkpoints: int = 90
) -> dict[str, list[Played]]:
    """Return so many investigations of each phase, by its key."""
    return asyncio.run(_play(counts, random.Random(seed), n_checkpoints))  # noqa: S311 - drawn from a seed to be repeatable


async def _play(
    counts: Mapping[str, int], rng: random.Random, n_checkpoints: int
) -> dict[str, list[Played]]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        names = [str(n) for n in range(n_checkpoints)]
        knowledge = bare_knowledge({name: _subject(folder / name, rng) for name in names})
        sandbox = await stack.enter_async_context(open_sandbox(Limits()))
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
    found: list[Played | None] = [None] * n
    pending = iter(enumerate(seeds))

    async def work() -> None:
        for place, seed in pending:
            found[place] = await _play_one(phase, knowledge, sandbox, seed)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())
    return [each for each in found if each]


async def _play_one(phase: Phase, knowledge: Knowledge, sandbox: Sandbox, seed: int) -> Played:
    rng = random.Random(seed)  # noqa: S311 - drawn from a seed to be repeatable
    said, powers = _said(phase, knowledge, standing := Standing(), rng)
    teacher = Teacher(said, seed)
    notes = Notes()
    case = Investigation(id="taught", model="teacher", phase=phase.key, replicate=0, seed=seed)
    parts = Parts(
        phase=said,
        chat=teacher,
        sandbox=sandbox,
        powers=powers,
        record=notes,
        window=rng.choice(_WINDOWS),
        standing=standing,
    )
    try:
        await investigate(case, parts)
    except EngineError as error:
        raise RuntimeError(f"transcript {seed} of {phase.key} failed") from error
    return played(notes.events, teacher)


def _said(
    phase: Phase, knowledge: Knowledge, standing: Standing, rng: random.Random
) -> tuple[Phase, Powers]:
    """Return a phase and what it grants, in some wording and with some documents."""
    report = partial(generated, phase, standing, window=MAX_POSITIONS)
    library = (
        knowledge.library if rng.random() < _SHIPPED_SHARE else shuffled(knowledge.library, rng)
    )
    some = replace(knowledge, library=library)
    return reworded(phase, some.powers(rng.choice(list(some.subjects)), phase, report), rng)
