"""Real parts for tests of the loop: real sandbox, real introspection, a scripted model."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from engine.chat import ChatBackend
from engine.chat.scripted import Answer, ScriptedBackend, in_order
from engine.events import AnyEvent, Event
from engine.fold import transcripts
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.loop import Parts
from engine.phase import Experiment, Phase
from engine.sandbox import Limits
from engine.sandbox.host import open_sandbox
from engine.standing import Standing
from engine.transcript import Investigation, Transcript
from phases.load import get_phase

CASE = Investigation(id="a.comparison.0", model="a", phase="comparison", replicate=0, seed=7)

DONE = '```python\nprint("EXPERIMENT_COMPLETE")\n```'


def run_block(code: str) -> str:
    return f"Next.\n\n```python\n{code}\n```"


def a_phase(*experiments: Experiment) -> Phase:
    """The comparison phase with its capability of memory alone, and other experiments."""
    found = get_phase("comparison").model_copy(update={"capabilities": ("memory",)})
    return found.model_copy(update={"experiments": experiments}) if experiments else found


class Kept:
    """A record in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.n_secured = 0

    def append(self, event: Event) -> None:
        self.events.append(event)

    async def secure(self) -> None:
        self.n_secured += 1

    async def commit(self) -> None:
        pass

    def transcripts(self) -> tuple[Transcript, ...]:
        events: list[AnyEvent] = [event for event in self.events if isinstance(event, AnyEvent)]
        return transcripts(events)


@asynccontextmanager
async def parts_with(
    replies: Sequence[Answer] | ChatBackend,
    *,
    phase: Phase | None = None,
    limits: Limits | None = None,
) -> AsyncGenerator[tuple[Parts, Kept]]:
    chat = ScriptedBackend(in_order(replies)) if isinstance(replies, Sequence) else replies
    kept = Kept()
    async with open_sandbox(limits or Limits()) as sandbox:
        yield (
            Parts(
                phase=phase or a_phase(),
                chat=chat,
                sandbox=sandbox,
                powers=CapabilityTable(["memory"], subject=Subject()),
                record=kept,
            ),
            kept,
        )


def again(parts: Parts, chat: ChatBackend) -> Parts:
    """The same parts with another model and a fresh table."""
    powers = CapabilityTable(["memory"], subject=Subject())
    return replace(parts, chat=chat, powers=powers, standing=Standing())
