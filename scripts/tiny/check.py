"""Measures the tiny models: real investigations on the embedded server, through the engine."""

import asyncio
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.access import OPEN
from engine.chat import ChatBackend
from engine.chat.served import open_backend
from engine.cli.knowledge import Knowledge
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.generation import generated
from engine.introspection.subject import Subject
from engine.loop import Parts, investigate, turn_seed
from engine.phase import Phase
from engine.sandbox import Limits, Sandbox
from engine.sandbox.host import open_sandbox
from engine.standing import Standing
from engine.transcript import Investigation
from phases.load import get_phase, list_phases
from scripts.tiny.granting import bare_knowledge, probed_knowledge
from scripts.tiny.notes import Notes
from scripts.tiny.outcomes import Outcome, outcome
from servers.embedded.launcher import serve
from servers.embedded.model import EmbeddedModel

LEAST_PARSED, LEAST_RAN, LEAST_DONE = 0.90, 0.85, 0.80
_HELD_OUT = Path(__file__).with_name("held_out.toml")
_AT_ONCE = 12


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One phase in one wording."""

    name: str
    phase: Phase


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One model that is served."""

    model: EmbeddedModel
    chat: ChatBackend
    knowledge: Knowledge


def trials() -> tuple[Trial, ...]:
    """Return the phases that are measured: as they ship, and in words that no training has seen."""
    shipped = [get_phase(key) for key in list_phases()]
    held_out = tomllib.loads(_HELD_OUT.read_text(encoding="utf-8"))
    plain = [Trial(name=phase.key, phase=phase) for phase in shipped]
    other = [_reworded(phase, held_out) for phase in shipped]
    return (*plain, *(Trial(name=f"{phase.key}, reworded", phase=phase) for phase in other))


def _reworded(phase: Phase, texts: Mapping[str, str]) -> Phase:
    experiments = tuple(
        each.model_copy(update={"prompt": texts[each.name], "prompt_on_documents": None})
        for each in phase.experiments
    )
    said = {name: texts[name] for name in ("system", "heritage")}
    update = {"texts": phase.texts.model_copy(update=said), "experiments": experiments}
    return phase.model_copy(update=update)


async def measure(
    models: Sequence[EmbeddedModel],
    *,
    tried: Sequence[Trial],
    n: int,
    seed: int,
    is_probed: bool = False,
) -> dict[tuple[str, str], Outcome]:
    """Return the outcome of `n` investigations per model and trial, by (model, trial).

    `is_probed`: grant also what a probe answers, as a machine with torch does.

    Raises:
        NotReadyError: there is nothing to probe with.
    """
    async with AsyncExitStack() as stack:
        logs = Path(stack.enter_context(TemporaryDirectory()))
        sandbox = await stack.enter_async_context(open_sandbox(Limits()))
        served = serve(models, log_dir=logs, n_slots=_AT_ONCE)
        endpoints = await stack.enter_async_context(served)
        checkpoints = {model.key: open_checkpoint(model.directory) for model in models}
        knowledge = (
            stack.enter_context(probed_knowledge(checkpoints, log_dir=logs))
            if is_probed
            else bare_knowledge({key: Subject(each) for key, each in checkpoints.items()})
        )
        measured: dict[tuple[str, str], Outcome] = {}
        for model, endpoint in zip(models, endpoints, strict=True):
            chat = await stack.enter_async_context(open_backend(endpoint, access=OPEN))
            arm = Arm(model=model, chat=chat, knowledge=knowledge)
            for trial in tried:
                outcomes = await _outcomes(arm, trial, sandbox, n=n, seed=seed)
                measured[model.key, trial.name] = sum(outcomes, Outcome())
        return measured


async def _outcomes(
    arm: Arm, trial: Trial, sandbox: Sandbox, *, n: int, seed: int
) -> list[Outcome]:
    found: list[Outcome] = []
    pending = iter(range(n))

    async def work() -> None:
        for replicate in pending:
            one = await _investigate(arm, trial, sandbox, seed=turn_seed(seed, replicate))
            found.append(one)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())
    return found


async def _investigate(arm: Arm, trial: Trial, sandbox: Sandbox, *, seed: int) -> Outcome:
    phase, window = trial.phase, arm.model.window_tokens
    notes, standing = Notes(), Standing()
    report = partial(generated, phase, standing, window=window)
    case = Investigation(
        id=f"{arm.model.key}.{seed}", model=arm.model.key, phase=phase.key, replicate=0, seed=seed
    )
    parts = Parts(
        phase=phase,
        chat=arm.chat,
        sandbox=sandbox,
        powers=arm.knowledge.powers(arm.model.key, phase, report),
        record=notes,
        window=window,
        standing=standing,
    )
    await investigate(case, parts)
    return outcome(notes.events, n_experiments=len(phase.experiments))


def is_good(found: Outcome) -> bool:
    """Tell whether the rates are what is promised of a tiny model."""
    return found.parsed >= LEAST_PARSED and found.ran >= LEAST_RAN and found.done >= LEAST_DONE
