"""One investigation: ask, act, observe, record, stop.

Everything that happens is an event in the journal, and a reply is durable before anything that
depends on it is sent. The loop holds nothing that could not be folded from its events.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from engine.actions import AnyAction, Ask, Cut, Finish, Malformed, Nothing, RunCode, parse, tag_of
from engine.budget import Budget, Ledger, exhausted
from engine.chat import ChatBackend, ChatRequest
from engine.context import prompt_tokens, reply_tokens
from engine.errors import ContextOverflowError
from engine.events import CompletionReceived, Event, ExperimentEnded, ExperimentStarted, TurnEnded
from engine.observation import observe, reminder
from engine.phase import Experiment, Phase
from engine.prompts import render
from engine.sandbox import Answer, Sandbox, Workspace
from engine.transcript import (
    Completion,
    Conversation,
    Execution,
    Investigation,
    Message,
    StopReason,
    Usage,
)

_LETS_NEXT_BEGIN = frozenset({StopReason.COMPLETED, StopReason.NO_CODE, StopReason.TURN_LIMIT})
"""Ends of an experiment after which the next one begins; any other ends the investigation."""


class Record(Protocol):
    """Where events go: the journal."""

    def append(self, event: Event) -> None:
        """Take the event."""
        ...

    async def commit(self) -> None:
        """Return once all events taken are durable."""
        ...


class Powers(Protocol):
    """The introspection granted to one investigation."""

    @property
    def modules(self) -> Mapping[str, str]:
        """Dotted module name -> source that model code can import."""
        ...

    @property
    def lines(self) -> Sequence[tuple[str, str]]:
        """(module, one line about it), for the system prompt."""
        ...

    @property
    def answer(self) -> Answer:
        """Answers the calls that model code makes."""
        ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an investigation works with."""

    phase: Phase
    chat: ChatBackend
    sandbox: Sandbox
    powers: Powers
    record: Record
    window: int | None = None
    """Context window of the model in tokens; None when the endpoint does not say."""
    clock: Callable[[], float] = time.time


def turn_seed(investigation_seed: int, turn: int) -> int:
    """Return the seed of one request: the same for every model, below 2**31."""
    digest = blake2b(f"{investigation_seed}/{turn}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1


async def investigate(case: Investigation, parts: Parts) -> StopReason:
    """Carry one investigation through the experiments of its phase and say why it ended.

    Raises:
        InvestigationError: the endpoint or the sandbox failed.
        JournalError: an event could not be made durable.
    """
    powers = parts.powers
    async with parts.sandbox.open(modules=powers.modules, answer=powers.answer) as workspace:
        return await _Course(case, parts, workspace).run()


class _Course:
    """The running state of one investigation."""

    def __init__(self, case: Investigation, parts: Parts, workspace: Workspace) -> None:
        self._case = case
        self._parts = parts
        self._phase = parts.phase
        self._workspace = workspace
        self._conversation = Conversation()
        self._uncounted: list[str] = []
        """Texts that the server has not counted yet."""
        self._counted: Usage | None = None
        self._unsent: str | None = None
        """Observation of a turn that ended its experiment: it opens the next prompt."""
        self._ledger = Ledger()

    async def run(self) -> StopReason:
        reason = StopReason.COMPLETED
        for experiment in self._phase.experiments:
            reason = await self._conduct(experiment)
            if reason not in _LETS_NEXT_BEGIN:
                break
        return reason

    async def _conduct(self, experiment: Experiment) -> StopReason:
        self._open(experiment)
        reason = None
        used = 0
        while reason is None and used < experiment.max_turns:
            used += 1
            reason = await self._turn(experiment, used)
        ended = reason or StopReason.TURN_LIMIT
        self._record(
            ExperimentEnded(
                time=self._now(),
                investigation=self._case.id,
                experiment=experiment.name,
                stop_reason=ended,
            )
        )
        return ended

    async def _turn(self, experiment: Experiment, used: int) -> StopReason | None:
        """Make one turn; return why the experiment ended with it, or None."""
        started = self._now()
        room = self._room()
        limit = exhausted(self._budget(), self._ledger)
        if limit or not room:
            return limit or StopReason.CONTEXT_FULL
        try:
            completion = await self._ask(experiment, room)
        except ContextOverflowError:
            return StopReason.CONTEXT_FULL
        action = parse(completion.text, completion.finish_reason, self._phase.rules)
        executions = await self._act(action) if experiment.has_code else ()
        reason = _end(self._phase, experiment, action, executions)
        is_last = reason is not None or used == experiment.max_turns
        text = self._observe(experiment, action, executions, None if is_last else used)
        self._close(action, executions, text, is_last=is_last)
        self._ledger = self._ledger.spend(completion.usage, self._now() - started)
        return reason

    async def _ask(self, experiment: Experiment, room: int) -> Completion:
        seed = turn_seed(self._case.seed, self._ledger.turns)
        await self._parts.record.commit()
        completion = await self._parts.chat.complete(
            ChatRequest(
                conversation=self._conversation,
                seed=seed,
                temperature=self._phase.sampling.temperature,
                top_p=self._phase.sampling.top_p,
                max_tokens=room,
            )
        )
        self._record(
            CompletionReceived(
                time=self._now(),
                investigation=self._case.id,
                experiment=experiment.name,
                turn=self._ledger.turns,
                seed=seed,
                completion=completion,
            )
        )
        self._conversation.append(Message("assistant", completion.text))
        self._counted, self._uncounted = completion.usage, []
        return completion

    async def _act(self, action: AnyAction) -> tuple[Execution, ...]:
        blocks = action.blocks if isinstance(action, RunCode) else ()
        return tuple([await self._workspace.execute(block) for block in blocks])

    def _observe(
        self,
        experiment: Experiment,
        action: AnyAction,
        executions: tuple[Execution, ...],
        used: int | None,
    ) -> str | None:
        """Return the text that answers the reply; `used` None: no turn is left."""
        due = reminder(self._phase, used=used, limit=experiment.max_turns) if used else None
        notes = [due] if due else []
        if executions:
            return observe(self._phase, executions, notes)
        word = _word_on(self._phase, action)
        return "\n\n".join([word, *notes]) if used and word else None

    def _open(self, experiment: Experiment) -> None:
        prompt = render(experiment.prompt, max_turns=experiment.max_turns)
        content = f"{self._unsent}\n\n{prompt}" if self._unsent else prompt
        is_first = not self._conversation.messages
        opening = [Message("system", self._system_prompt())] if is_first else []
        messages = (*opening, Message("user", content))
        self._unsent = None
        for message in messages:
            self._send_next(message)
        self._record(
            ExperimentStarted(
                time=self._now(),
                investigation=self._case.id,
                experiment=experiment.name,
                messages=messages,
            )
        )

    def _close(
        self,
        action: AnyAction,
        executions: tuple[Execution, ...],
        observation: str | None,
        *,
        is_last: bool,
    ) -> None:
        if is_last:
            self._unsent = observation
        elif observation:
            self._send_next(Message("user", observation))
        self._record(
            TurnEnded(
                time=self._now(),
                investigation=self._case.id,
                turn=self._ledger.turns,
                action=tag_of(action),
                executions=executions,
                observation=observation,
            )
        )

    def _system_prompt(self) -> str:
        lines = tuple(self._parts.powers.lines)
        return render(
            self._phase.texts.system,
            modules=lines,
            names=[name for name, _ in lines],
            done_signal=self._phase.rules.done_signal,
        )

    def _send_next(self, message: Message) -> None:
        self._conversation.append(message)
        self._uncounted.append(message.content)

    def _room(self) -> int:
        prompt = prompt_tokens(self._counted, self._uncounted)
        return reply_tokens(self._parts.window, prompt, self._phase.sampling.max_tokens)

    def _budget(self) -> Budget:
        phase = self._phase
        return Budget(max_tokens=phase.max_tokens_total, max_seconds=phase.max_seconds)

    def _record(self, event: Event) -> None:
        self._parts.record.append(event)

    def _now(self) -> float:
        return self._parts.clock()


def _end(
    phase: Phase, experiment: Experiment, action: AnyAction, executions: tuple[Execution, ...]
) -> StopReason | None:
    """Return why the experiment ends with this reply, or None when it goes on."""
    if isinstance(action, Cut | Ask | Malformed) and experiment.has_code:
        return None
    if isinstance(action, Nothing) and experiment.has_code:
        return StopReason.NO_CODE
    is_said = isinstance(action, Finish) or (isinstance(action, RunCode) and action.is_done)
    is_printed = any(_prints_signal(execution, phase) for execution in executions)
    is_discussion = not experiment.has_code and not isinstance(action, Cut)
    return StopReason.COMPLETED if is_said or is_printed or is_discussion else None


def _prints_signal(execution: Execution, phase: Phase) -> bool:
    """Only printed text counts: a traceback may quote the line that would have printed it."""
    signal = phase.rules.done_signal
    lines = execution.output.splitlines()
    if execution.error:
        return any(line.strip() == signal for line in lines)
    return any(signal in line for line in lines)


def _word_on(phase: Phase, action: AnyAction) -> str | None:
    """Return what the engine says to a reply of which nothing was executed."""
    match action:
        case Cut():
            template = phase.texts.cut
        case Malformed():
            template = phase.texts.malformed
        case Ask():
            template = phase.texts.nudge
        case _:
            return None
    return render(template, done_signal=phase.rules.done_signal)
