"""One investigation: ask, act, observe, record, stop.

Everything that happens is an event in the journal. A reply is durable before anything that depends
on it is sent: it is on its way to the disk while its blocks are executed. The loop holds nothing
that could not be folded from its events.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

from engine.actions import RunCode, own_part, parse, tag_of
from engine.budget import Budget, exhausted
from engine.chat import ChatBackend, ChatRequest
from engine.compaction import compacted, summary_requests
from engine.context import is_full, is_near_full, prompt_tokens, reply_tokens
from engine.drain import Drain
from engine.errors import ContextOverflowError
from engine.events import (
    Compacted,
    CompletionReceived,
    Event,
    ExperimentEnded,
    ExperimentStarted,
    InvestigationResumed,
    TurnEnded,
)
from engine.observation import respond
from engine.opening import prompt_of, system_prompt, words_on_documents
from engine.phase import HERITAGE, Experiment, Phase
from engine.record import Record
from engine.requirements import checked
from engine.revival import Revival
from engine.sandbox import Answer, Sandbox, Workspace
from engine.standing import Standing
from engine.transcript import (
    Call,
    Completion,
    Conversation,
    Investigation,
    Message,
    StopReason,
)
from engine.verdict import judge

_LETS_NEXT_BEGIN = frozenset(
    {
        StopReason.COMPLETED,
        StopReason.NO_CODE,
        StopReason.TURN_LIMIT,
        StopReason.TOKEN_LIMIT,
        StopReason.TIME_LIMIT,
        StopReason.STUCK,
    }
)
"""Ends of an experiment after which the next one begins while the investigation has budget left;
any other ends the investigation."""


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

    def grant(self, *names: str) -> Mapping[str, str]:
        """Grant more from now on; return the modules that are new or have changed."""
        ...

    def restore(self, calls: Iterable[Call]) -> None:
        """Apply recorded calls that changed state."""
        ...


Count = Callable[[Conversation], Awaitable[int | None]]
"""Conversation -> tokens of it as a prompt; None when it cannot be told at present."""


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
    count: Count | None = None
    """Counts the tokens of a prompt exactly; None: they are estimated."""
    drain: Drain = field(default_factory=Drain)
    """No turn is begun once it has begun."""
    standing: Standing = field(default_factory=Standing)
    """Where this one investigation stands; at its beginning, whatever is recorded of it."""


def turn_seed(investigation_seed: int, turn: int, stream: str = "") -> int:
    """Return the seed of one request: the same for every model, below 2**31."""
    text = f"{investigation_seed}/{stream}/{turn}" if stream else f"{investigation_seed}/{turn}"
    digest = blake2b(text.encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1


async def investigate(
    case: Investigation, parts: Parts, history: Sequence[Event] = ()
) -> StopReason:
    """Carry one investigation through the experiments of its phase and say why it ended.

    `history`: what is recorded of it already. It goes on where that ends, in a namespace that is
    brought back by running the recorded blocks again.

    Raises:
        InvestigationError: the endpoint or the sandbox failed.
        DrainedError: the run is being stopped; the investigation can be taken up again.
        JournalError: an event could not be made durable.
    """
    standing = parts.standing
    assert not standing.conversation.messages, "the parts of one investigation serve it alone"
    for event in history:
        standing.take(event)
    revival = Revival(standing.executions, parts.powers.answer)
    async with parts.sandbox.open(
        modules=parts.powers.modules, answer=revival.answer, seed=case.seed
    ) as workspace:
        course = _Course(case, parts, workspace, standing)
        if history:
            await course.resume(revival)
        return await course.run()


class _Course:
    """One investigation on its way: what happens next follows from where it stands."""

    def __init__(
        self, case: Investigation, parts: Parts, workspace: Workspace, standing: Standing
    ) -> None:
        self._case = case
        self._parts = parts
        self._phase = parts.phase
        self._workspace = workspace
        self._standing = standing

    async def resume(self, revival: Revival) -> None:
        gifts = self._gifts()
        self._parts.powers.restore(revival.calls)
        is_exact = await revival.run(self._workspace, gifts, self._parts.drain)
        self._happens(
            InvestigationResumed(time=self._now(), investigation=self._case.id, is_exact=is_exact)
        )

    def _gifts(self) -> dict[int, Mapping[str, str]]:
        """Grant again what was granted before; return it by the number of blocks before it."""
        heritage, starts = self._phase.heritage, self._standing.starts
        if heritage is None or heritage.begins not in starts:
            return {}
        return {starts[heritage.begins]: self._parts.powers.grant(HERITAGE)}

    async def run(self) -> StopReason:
        ends = self._standing.ends
        for experiment in self._phase.experiments[len(ends) :]:
            if ends and self._standing.experiment is None:
                if ends[-1] not in _LETS_NEXT_BEGIN:
                    break
                if limit := self._limit():
                    return limit
            await self._conduct(experiment)
        return ends[-1]

    async def _conduct(self, experiment: Experiment) -> None:
        if self._standing.experiment is None:
            self._open(experiment)
        reason = self._standing.ending
        while reason is None:
            reason = await self._turn(experiment)
        self._happens(
            ExperimentEnded(
                time=self._now(),
                investigation=self._case.id,
                experiment=experiment.name,
                stop_reason=reason,
                requirements=checked(experiment, self._standing.own_executions),
            )
        )

    async def _turn(self, experiment: Experiment) -> StopReason | None:
        """Make one turn, or room for it; return why the experiment ends with it, or None."""
        if self._standing.asked is None:
            self._parts.drain.check()
            if limit := self._limit() or self._limit_of(experiment):
                return limit
            self._standing.send_unsent()
            try:
                if not await self._ask_or_compact(experiment):
                    return None
            except ContextOverflowError:
                return StopReason.CONTEXT_FULL
        await self._act(experiment)
        return self._standing.ending

    async def _ask_or_compact(self, experiment: Experiment) -> bool:
        """Get one completion; False: a summary instead, for the window is nearly full or too small.

        Nearly full, the window may have room for a reply although there is nothing to summarise.

        Raises:
            ContextOverflowError: the window has no room even then.
        """
        window, prompt = self._parts.window, await self._prompt_tokens()
        if is_full(window, prompt):
            with suppress(ContextOverflowError):
                await self._compact(window, prompt)
                return False
        try:
            await self._ask(experiment, prompt)
        except ContextOverflowError:
            await self._compact(window, prompt)
            return False
        return True

    async def _compact(self, window: int | None, prompt: int) -> None:
        """Let the conversation go on from the model's own summary of it, if there is one to make.

        Raises:
            ContextOverflowError: there is nothing left to summarise, no room for a summary, or
                summaries come back blank.
        """
        standing, seed = self._standing, self._summary_seed()
        requests = summary_requests(self._phase, standing, window=window, prompt=prompt, seed=seed)
        await self._parts.record.secure()
        completion = await self._first_that_fits(requests)
        self._happens(
            Compacted(
                time=self._now(),
                investigation=self._case.id,
                seed=seed,
                completion=completion,
                messages=compacted(
                    self._phase, standing, completion.text, window=window, prompt=prompt
                ),
            )
        )

    async def _first_that_fits(self, requests: Sequence[ChatRequest]) -> Completion:
        *longer, last = requests
        for request in longer:
            with suppress(ContextOverflowError):
                return await self._parts.chat.complete(request)
        return await self._parts.chat.complete(last)

    async def _ask(self, experiment: Experiment, prompt: int) -> None:
        """Get one completion.

        Raises:
            ContextOverflowError: the window has no room for a reply.
        """
        turn = self._standing.ledger.turns
        seed = turn_seed(self._case.seed, turn, self._case.stream)
        request = self._request(seed, prompt)
        await self._parts.record.secure()
        completion = await self._parts.chat.complete(request)
        own = own_part(completion.text, self._phase.rules)
        self._happens(
            CompletionReceived(
                time=self._now(),
                investigation=self._case.id,
                experiment=experiment.name,
                turn=turn,
                seed=seed,
                completion=completion,
                own_chars=len(own) if own != completion.text else None,
            )
        )

    async def _act(self, experiment: Experiment) -> None:
        """Do what the reply asks for, and say what came of it."""
        standing, rules = self._standing, self._phase.rules
        assert standing.asked is not None
        action = parse(standing.asked.own_text, standing.asked.finish_reason, rules)
        blocks = action.blocks if isinstance(action, RunCode) and experiment.has_code else ()
        executions = tuple([await self._workspace.execute(block) for block in blocks])
        verdict = judge(self._phase, experiment, standing, action, executions)
        self._happens(
            TurnEnded(
                time=self._now(),
                investigation=self._case.id,
                turn=standing.ledger.turns,
                action=tag_of(action),
                executions=executions,
                observation=respond(
                    self._phase, action, executions, verdict.notes, has_code=experiment.has_code
                ),
                ends=verdict.ends,
                is_told_shortfall=verdict.is_told_shortfall,
            )
        )

    def _open(self, experiment: Experiment) -> None:
        """Begin an experiment; an observation that was not sent yet opens its prompt."""
        standing, phase, powers = self._standing, self._phase, self._parts.powers
        is_first = not standing.conversation.messages
        opening = (Message("system", system_prompt(phase, powers.lines)),) if is_first else ()
        self._grant_documents(experiment)
        on_documents = words_on_documents(phase, experiment, powers.lines)
        parts = (standing.unsent, prompt_of(experiment), *on_documents)
        content = "\n\n".join(part for part in parts if part)
        self._happens(
            ExperimentStarted(
                time=self._now(),
                investigation=self._case.id,
                experiment=experiment.name,
                messages=(*opening, Message("user", content)),
            )
        )

    def _grant_documents(self, experiment: Experiment) -> None:
        heritage = self._phase.heritage
        if heritage and heritage.begins == experiment.name:
            self._workspace.give(self._parts.powers.grant(HERITAGE))

    def _request(self, seed: int, prompt: int) -> ChatRequest:
        standing, sampling = self._standing, self._phase.sampling
        room = reply_tokens(self._parts.window, prompt, sampling.max_tokens)
        if not room:
            raise ContextOverflowError(f"{prompt} tokens leave no room in {self._parts.window}")
        return ChatRequest(
            conversation=standing.conversation,
            seed=seed,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=room,
        )

    async def _prompt_tokens(self) -> int:
        """Return the tokens of the next prompt: an estimate while there is room, else a count."""
        standing, count = self._standing, self._parts.count
        estimate = prompt_tokens(standing.latest, standing.uncounted)
        if count is None or not is_near_full(self._parts.window, estimate):
            return estimate
        return await count(standing.conversation) or estimate

    def _summary_seed(self) -> int:
        return turn_seed(self._case.seed, -1 - self._standing.n_summaries, self._case.stream)

    def _limit(self) -> StopReason | None:
        """Return the limit that the whole investigation has reached, or None."""
        phase = self._phase
        budget = Budget(
            max_turns=phase.max_turns_total,
            max_tokens=phase.max_tokens_total,
            max_seconds=phase.max_seconds,
        )
        return exhausted(budget, self._standing.ledger)

    def _limit_of(self, experiment: Experiment) -> StopReason | None:
        """Return the limit that the open experiment has reached, or None.

        A summary is followed by a reply: with none in between, the prompt of the next experiment
        would be a second message of the user in a row, which templates of some models refuse.
        """
        if self._standing.is_summarised:
            return None
        return exhausted(_budget_of(experiment), self._standing.spent)

    def _happens(self, event: Event) -> None:
        """Record one event, and stand where it leads."""
        self._parts.record.append(event)
        self._standing.take(event)

    def _now(self) -> float:
        return self._parts.clock()


def _budget_of(experiment: Experiment) -> Budget:
    return Budget(
        max_turns=experiment.max_turns,
        max_tokens=experiment.max_tokens,
        max_seconds=experiment.max_seconds,
    )
