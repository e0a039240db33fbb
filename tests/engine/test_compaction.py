"""Long conversations in small windows."""

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest

from engine.chat import ChatRequest
from engine.chat.scripted import Script, ScriptedBackend
from engine.compaction import compacted, summary_requests
from engine.context import is_full
from engine.errors import ContextOverflowError
from engine.events import Compacted, CompletionReceived, Event, TurnEnded
from engine.loop import investigate, turn_seed
from engine.phase import Experiment, Phase
from engine.standing import Standing
from engine.transcript import Completion, Conversation, Message, StopReason, Usage
from tests.engine.investigating import (
    CASE,
    DONE,
    Kept,
    a_phase,
    again,
    parts_with,
    run_block,
)

WINDOW = 2048
TURNS = 30
"""Too many for the window by an estimate, not by the count."""


def long_phase(max_turns: int = 200) -> Phase:
    phase = a_phase(Experiment(name="long", prompt="Count on.", max_turns=max_turns))
    sampling = phase.sampling.model_copy(update={"max_tokens": 200})
    return phase.model_copy(update={"sampling": sampling})


def counting(conversation: Conversation, _seed: int) -> str:
    """Go on from the number last seen, in outputs or in a summary."""
    last = conversation.messages[-1].content
    if "Summarise it in at most" in last:
        return f"I have counted to {number_in(conversation)}."
    return run_block(f"n = {number_in(conversation) + 1}\nprint('counted to', n, '.' * 60)")


def number_in(conversation: Conversation) -> int:
    words = " ".join(message.content for message in conversation.messages).split()
    counted = [
        int(b.strip(".")) for a, b in pairwise(words) if a == "to" and b.strip(".").isdigit()
    ]
    return max(counted, default=0)


def blank_at_first(conversation: Conversation, seed: int) -> str:
    """Count, and have nothing to say when a summary is asked for the first time."""
    return " \n" if seed == turn_seed(CASE.seed, -1) else counting(conversation, seed)


def never_summing_up(conversation: Conversation, seed: int) -> str:
    """Count, and have nothing to say whenever a summary is asked for."""
    said = counting(conversation, seed)
    return "" if said.startswith("I have") else said


class StoppedError(Exception):
    """A first completion was recorded."""


class Stopping(Kept):
    """A record that stops the investigation at the first completion."""

    def append(self, event: Event) -> None:
        super().append(event)
        if isinstance(event, CompletionReceived | Compacted):
            raise StoppedError


class Watching:
    """A backend that keeps every conversation it was asked to continue."""

    def __init__(self, answer: Script = counting) -> None:
        self.sent: list[tuple[Message, ...]] = []
        self._inner = ScriptedBackend(answer, max_model_len=WINDOW)

    async def complete(self, request: ChatRequest) -> Completion:
        self.sent.append(tuple(request.conversation.messages))
        return await self._inner.complete(request)


async def test_two_hundred_turns_in_a_window_of_2k_run_to_their_end() -> None:
    chat = Watching()
    async with parts_with(chat, phase=long_phase()) as (parts, kept):
        reason = await investigate(CASE, replace(parts, window=WINDOW))
    assert reason == StopReason.TURN_LIMIT
    assert sum(isinstance(event, CompletionReceived) for event in kept.events) == 200
    assert sum(isinstance(event, Compacted) for event in kept.events) > 5


async def test_what_the_model_knew_survives_in_its_summary() -> None:
    chat = Watching()
    async with parts_with(chat, phase=long_phase(60)) as (parts, kept):
        await investigate(CASE, replace(parts, window=WINDOW))
    last = [event for event in kept.events if isinstance(event, CompletionReceived)][-1]
    assert "n = 60" in last.completion.text


async def test_roles_alternate_and_the_system_message_stays_after_a_compaction() -> None:
    async with parts_with(Watching(), phase=long_phase(40)) as (parts, kept):
        await investigate(CASE, replace(parts, window=WINDOW))
    compactions = [event for event in kept.events if isinstance(event, Compacted)]
    for event in compactions:
        roles = [message.role for message in event.messages]
        assert roles[:3] == ["system", "user", "assistant"]
        assert all(first != second for first, second in pairwise(roles[1:]))
        assert "Count on." in event.messages[1].content


async def test_the_prefix_of_a_conversation_never_changes_between_compactions() -> None:
    chat = Watching()
    async with parts_with(chat, phase=long_phase(10)) as (parts, kept):
        await investigate(CASE, replace(parts, window=100_000))
    assert not any(isinstance(event, Compacted) for event in kept.events)
    assert all(after[: len(before)] == before for before, after in pairwise(chat.sent))


async def test_an_overflow_that_only_the_server_saw_is_compacted_once() -> None:
    inner = ScriptedBackend(counting)
    n_refused = 0

    class Refusing:
        async def complete(self, request: ChatRequest) -> Completion:
            nonlocal n_refused
            if len(request.conversation.messages) > 8 and request.temperature > 0.5:
                n_refused += 1
                raise ContextOverflowError("too long", status=400)
            return await inner.complete(request)

    async with parts_with(Refusing(), phase=long_phase(12)) as (parts, kept):
        reason = await investigate(CASE, parts)
    assert reason == StopReason.TURN_LIMIT
    assert n_refused == sum(isinstance(event, Compacted) for event in kept.events) > 0


async def test_nothing_is_asked_for_after_a_summary_that_spent_the_last_tokens() -> None:
    async with parts_with(Watching(), phase=long_phase(TURNS)) as (parts, kept):
        await investigate(CASE, replace(parts, window=WINDOW))
    standing = Standing()
    for event in kept.events:
        standing.take(event)
        if isinstance(event, Compacted):
            break
    spent = standing.ledger.tokens
    limited = long_phase(TURNS).model_copy(update={"max_tokens_total": spent})
    async with parts_with(Watching(), phase=limited) as (parts, kept):
        assert await investigate(CASE, replace(parts, window=WINDOW)) == StopReason.TOKEN_LIMIT
    assert isinstance(kept.events[-2], Compacted), "the experiment ends right after it"


@pytest.mark.parametrize("answer", [counting, blank_at_first])
async def test_after_a_resume_the_request_is_the_one_that_was_on_its_way(answer: Script) -> None:
    chat, n_before = Watching(answer), 0
    async with parts_with(chat, phase=long_phase(TURNS)) as (parts, kept):
        await investigate(CASE, replace(parts, window=WINDOW))
        for place, event in enumerate(kept.events):
            if not isinstance(event, CompletionReceived | Compacted):
                continue
            revived = Watching(answer)
            going = replace(again(parts, revived), window=WINDOW, record=Stopping())
            with suppress(StoppedError):
                await investigate(CASE, going, kept.events[:place])
            assert revived.sent[0] == chat.sent[n_before]
            n_before += 1
    assert n_before == len(chat.sent)


async def test_a_last_turn_that_leaves_no_room_is_summarised_around() -> None:
    def talkative(conversation: Conversation, seed: int) -> str:
        said = counting(conversation, seed)
        return said if said.startswith("I have") else said + "\n\n" + "and so on " * 190

    chat = ScriptedBackend(talkative, max_model_len=WINDOW)
    phase = long_phase(20)
    sampling = phase.sampling.model_copy(update={"max_tokens": 600})
    roomy = phase.model_copy(update={"sampling": sampling})
    async with parts_with(chat, phase=roomy) as (parts, kept):
        assert await investigate(CASE, replace(parts, window=WINDOW)) == StopReason.TURN_LIMIT
    assert any(isinstance(event, Compacted) for event in kept.events)


async def test_a_server_that_does_not_count_is_asked_for_summaries_too() -> None:
    class Uncounted(Watching):
        async def complete(self, request: ChatRequest) -> Completion:
            return msgspec.structs.replace(await super().complete(request), usage=Usage())

    async with parts_with(Uncounted(), phase=long_phase(60)) as (parts, kept):
        assert await investigate(CASE, replace(parts, window=WINDOW)) == StopReason.TURN_LIMIT
    assert any(isinstance(event, Compacted) for event in kept.events)


async def test_a_blank_summary_is_recorded_and_asked_for_once_more() -> None:
    async with parts_with(Watching(blank_at_first), phase=long_phase(TURNS)) as (parts, kept):
        assert await investigate(CASE, replace(parts, window=WINDOW)) == StopReason.TURN_LIMIT
    first, second = [event for event in kept.events if isinstance(event, Compacted)][:2]
    assert (first.completion.text, first.messages) == (" \n", ())
    assert "I have counted to" in second.messages[1].content
    assert first.seed != second.seed


async def test_what_was_known_survives_a_blank_summary() -> None:
    async with parts_with(Watching(blank_at_first), phase=long_phase(TURNS)) as (parts, kept):
        await investigate(CASE, replace(parts, window=WINDOW))
    last = [event for event in kept.events if isinstance(event, CompletionReceived)][-1]
    assert f"n = {TURNS}" in last.completion.text


async def test_without_summaries_the_window_is_used_to_its_end_and_nothing_is_forgotten() -> None:
    chat = Watching(never_summing_up)
    async with parts_with(chat, phase=long_phase()) as (parts, kept):
        assert await investigate(CASE, replace(parts, window=WINDOW)) == StopReason.CONTEXT_FULL
    assert sum(isinstance(event, Compacted) for event in kept.events) == 2
    assert isinstance(kept.events[-2], TurnEnded), "turns went on after the last of them"
    asked = [sent for sent in chat.sent if "Summarise it" not in sent[-1].content]
    assert all(after[: len(before)] == before for before, after in pairwise(asked))


def test_a_summary_asked_for_again_leaves_out_what_stays_and_has_the_room_of_a_reply() -> None:
    standing, phase = Standing(opening="The task.", n_blank=1), long_phase()
    said = [Message("system", "You are."), Message("user", standing.opening)]
    said += [Message("assistant", "reply " * 40), Message("user", "output " * 20)] * 9
    for message in said:
        standing.conversation.append(message)
    (request,) = summary_requests(phase, standing, window=WINDOW, prompt=1600, seed=1)
    assert len(request.conversation.messages) < len(said)
    assert request.max_tokens >= phase.sampling.max_tokens


def test_a_blank_summary_is_no_compaction_and_spends_its_tokens() -> None:
    standing = Standing()
    standing.conversation.append(Message("system", "You are."))
    usage = Usage(prompt_tokens=1500, completion_tokens=300)
    reply = Completion(text="", finish_reason="length", usage=usage, sent=0, received=0)
    standing.take(Compacted(time=0, investigation=CASE.id, seed=1, completion=reply, messages=()))
    assert (standing.n_compactions, standing.ledger.tokens) == (0, 1800)
    assert len(standing.conversation.messages) == 1


def test_nothing_of_the_experiment_before_stays_behind_the_prompt_of_the_open_one() -> None:
    standing = Standing(opening="The second task.")
    said = [Message("system", "You are."), Message("user", "The first task.")]
    said += [Message("assistant", "first " * 40), Message("user", "output " * 20)] * 9
    said += [Message("assistant", "first"), Message("user", standing.opening)]
    last = [Message("assistant", "second"), Message("user", "output")]
    for message in [*said, *last]:
        standing.conversation.append(message)
    going_on = compacted(long_phase(), standing, "It is so.", window=WINDOW, prompt=1700)
    assert list(going_on[2:]) == last


async def test_a_prompt_that_fills_the_window_alone_ends_with_context_full() -> None:
    async with parts_with(Watching(), phase=long_phase(5)) as (parts, _):
        assert await investigate(CASE, replace(parts, window=300)) == StopReason.CONTEXT_FULL


class Counted:
    """Says what it is told to, at four characters a token; `n_hidden`: of a reasoning on top."""

    def __init__(self, *replies: str, n_hidden: int = 0) -> None:
        self._replies = iter(replies)
        self._n_hidden = n_hidden

    async def complete(self, request: ChatRequest) -> Completion:
        text = next(self._replies)
        usage = Usage(
            prompt_tokens=sum(len(m.content) for m in request.conversation.messages) // 4,
            completion_tokens=len(text) // 4 + self._n_hidden,
        )
        return Completion(text=text, finish_reason="stop", usage=usage, sent=0, received=0)


FOREIGN = "\nUser: go on\n" + "blah 7 " * 560


@pytest.mark.parametrize(("foreign", "n_hidden"), [(FOREIGN, 0), ("", 980)])
async def test_what_goes_on_of_a_reply_is_all_that_takes_room(foreign: str, n_hidden: int) -> None:
    chat = Counted(run_block("print(6*7)") + foreign, DONE, n_hidden=n_hidden)
    async with parts_with(chat) as (parts, kept):
        assert await investigate(CASE, replace(parts, window=1280)) == StopReason.COMPLETED
    assert not any(isinstance(event, Compacted) for event in kept.events)


async def test_a_full_window_without_anything_to_summarise_is_used_to_its_end() -> None:
    chat, window = Counted(run_block("print('y' * 1800)"), DONE), 900

    async def exact(conversation: Conversation) -> int:
        return sum(len(message.content) for message in conversation.messages) // 4

    async with parts_with(chat) as (parts, kept):
        reason = await investigate(CASE, replace(parts, window=window, count=exact))
        assert is_full(window, await exact(parts.standing.conversation))
    assert reason == StopReason.COMPLETED
    assert not any(isinstance(event, Compacted) for event in kept.events)


def test_a_summary_is_asked_for_once_where_no_turn_stays() -> None:
    standing = Standing(opening="The second task.")
    said = [Message("system", "You are."), Message("user", "The first task.")]
    said += [Message("assistant", "first " * 40), Message("user", standing.opening)]
    for message in said:
        standing.conversation.append(message)
    requests = summary_requests(long_phase(), standing, window=WINDOW, prompt=1500, seed=1)
    assert len(requests) == 1


async def test_a_count_decides_where_an_estimate_is_not_good_enough() -> None:
    seen: list[int] = []

    async def half_of_it(conversation: Conversation) -> int:
        seen.append(len(conversation.messages))
        return WINDOW // 2

    async with parts_with(Watching(), phase=long_phase(TURNS)) as (parts, kept):
        await investigate(CASE, replace(parts, window=WINDOW, count=half_of_it))
    assert seen
    assert min(seen) > 2, "a short prompt is not worth a count"
    assert not any(isinstance(event, Compacted) for event in kept.events)


async def test_without_a_count_the_estimate_decides() -> None:
    async def silent(_conversation: Conversation) -> None:
        return None

    async with parts_with(Watching(), phase=long_phase(TURNS)) as (parts, kept):
        await investigate(CASE, replace(parts, window=WINDOW, count=silent))
    assert any(isinstance(event, Compacted) for event in kept.events)
