"""Everything that the investigations of a study need, opened and closed together."""

import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from engine.chat.patience import Notice, Patience
from engine.chat.served import Served, open_backend
from engine.cli.access import access_of
from engine.cli.certify import certify, secrets_of, tell
from engine.cli.console import say
from engine.cli.knowledge import Knowledge, opened_knowledge
from engine.cli.library import open_library
from engine.cli.options import minimum_tier
from engine.cli.record import manifest_of, sandbox_facts
from engine.cli.serving import Serving
from engine.cli.study import Study
from engine.drain import Drain
from engine.endpoint import Endpoint
from engine.errors import ChatError
from engine.events import RequestRepeated
from engine.introspection.generation import generated
from engine.loop import Parts
from engine.manifest import Certificate, Manifest
from engine.purity import Secrets
from engine.record import Record
from engine.sandbox import Limits, Sandbox
from engine.sandbox.host import open_sandbox
from engine.standing import Standing
from engine.transcript import Conversation, Investigation, Message

_AGAIN_S = 600.0
"""How long a server of our own that died is waited for: its launcher starts it again, and gives up
one that is silent for as long. Source: `silent_s` in servers/launch/values.py; a tiny model on
vLLM's CPU build was measured to take 61-88 s."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Everything that an investigation needs, opened."""

    backends: dict[str, Served]
    are_counted: bool
    """Every arm's server counts the tokens of a prompt; else they are estimated for all alike."""
    window: int | None
    """Context that every arm gets, in tokens: that of the smallest, so that they are alike."""
    knowledge: Knowledge
    sandbox: Sandbox
    manifest: Manifest
    secrets: Secrets
    """What the phases hide."""

    def parts(self, study: Study, record: Record, drain: Drain, case: Investigation) -> Parts:
        """Return what one investigation works with."""
        phase = study.phase(case.phase)
        standing = Standing()
        report = partial(generated, phase, standing, window=self.window)
        return Parts(
            phase=phase,
            chat=self.backends[case.model].seat(drain.check, _repeated(record, case)),
            sandbox=self.sandbox,
            powers=self.knowledge.powers(case.model, phase, report),
            record=record,
            window=self.window,
            count=self.backends[case.model].count if self.are_counted else None,
            drain=drain,
            standing=standing,
        )


def _repeated(record: Record, case: Investigation) -> Notice:
    """Return what records that a request of `case` will be sent again."""

    def notice(error: ChatError, wait_s: float) -> None:
        record.append(
            RequestRepeated(
                time=time.time(), investigation=case.id, detail=str(error), wait_s=wait_s
            )
        )

    return notice


@asynccontextmanager
async def made_ready(study: Study, directory: Path) -> AsyncGenerator[Ready]:
    """Start servers and sandbox, open checkpoints and connections; close all on leaving."""
    limits = Limits()
    async with AsyncExitStack() as stack:
        library = open_library(study.options)
        sandbox = await stack.enter_async_context(
            open_sandbox(limits, minimum=minimum_tier(study.options))
        )
        log_dir = directory / "servers"
        endpoints = await stack.enter_async_context(study.serving.open(log_dir))
        endpoints = _with_shared_roles(endpoints)
        knowledge = stack.enter_context(
            opened_knowledge(
                endpoints,
                study.phases,
                library,
                log_dir=log_dir,
                promised_bytes=study.serving.promised_bytes,
            )
        )
        secrets = secrets_of(library)
        purity = _certified(study, knowledge, secrets)
        backends = {
            endpoint.model: await stack.enter_async_context(_backend(study.serving, endpoint))
            for endpoint in endpoints
        }
        manifest = manifest_of(
            study,
            directory,
            endpoints=endpoints,
            knowledge=knowledge,
            purity=purity,
            sandbox=sandbox_facts(sandbox, limits),
        )
        yield Ready(
            backends=backends,
            are_counted=await _are_counted(_awake(study, backends)),
            window=_shared_window(endpoints),
            knowledge=knowledge,
            sandbox=sandbox,
            manifest=manifest,
            secrets=secrets,
        )


def _certified(study: Study, knowledge: Knowledge, secrets: Secrets) -> dict[str, Certificate]:
    """Return the certificate of every phase; what one gives away is said aloud."""
    model, found = study.models[0], dict[str, Certificate]()
    for phase in study.phases:
        report = partial(generated, phase, Standing(), window=None)
        found[phase.key] = certify(phase, knowledge.powers(model, phase, report), secrets)
        tell(phase, found[phase.key])
    return found


def _with_shared_roles(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return `endpoints`, all of them without system messages where one has none."""
    without = [item.model for item in endpoints if not item.has_system_role]
    if not without:
        return endpoints
    say(
        f"{', '.join(without)} takes no system message; in every arm, what it would say opens the "
        "first user message."
    )
    return tuple(msgspec.structs.replace(item, has_system_role=False) for item in endpoints)


def _shared_window(endpoints: Iterable[Endpoint]) -> int | None:
    windows = {item.model: item.max_model_len for item in endpoints if item.max_model_len}
    if len(set(windows.values())) > 1:
        named = ", ".join(f"{model} has {window}" for model, window in windows.items())
        say(f"context windows differ ({named} tokens); every arm gets {min(windows.values())}.")
    return min(windows.values(), default=None)


def _awake(study: Study, backends: dict[str, Served]) -> list[Served]:
    """Return those that answer now: where arms take turns, one speaks for its kind of server."""
    turns = study.serving.turns
    return [backends[turns.awake]] if turns and turns.awake else list(backends.values())


async def _are_counted(backends: Iterable[Served]) -> bool:
    probe = Conversation([Message("user", "Hi")])
    return all([await backend.count(probe) for backend in backends])


def _backend(serving: Serving, endpoint: Endpoint) -> AbstractAsyncContextManager[Served]:
    patience = patience_with(serving, endpoint.model)
    return open_backend(endpoint, access=access_of(endpoint), patience=patience)


def patience_with(serving: Serving, model: str) -> Patience:
    """Return how long a model is asked: longer where its server is ours and is started again."""
    return Patience() if model in serving.given else Patience(away_s=_AGAIN_S)
