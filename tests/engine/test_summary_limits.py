"""A summary that spends the last tokens of an experiment: a reply comes before the next one."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from engine.chat.scripted import Script, ScriptedBackend
from engine.events import Compacted, CompletionReceived, Event, ExperimentEnded, ExperimentStarted
from engine.loop import investigate
from engine.phase import Experiment
from engine.standing import Standing
from engine.transcript import Conversation, Message, StopReason
from tests.engine.investigating import CASE, DONE, a_phase, parts_with, run_block

WINDOW = 2000
LIMITS = (6000, 7000)
"""Tokens of the first experiment that its summary, or the blank one, is the last to spend."""
SECOND = "Now say it."
Heard = list[tuple[Message, ...]]


def working(heard: Heard, summary: str) -> Script:
    """Fill the window in the first experiment, and be done with the second at once."""

    def answer(conversation: Conversation, _seed: int) -> str:
        heard.append(conversation.messages)
        if "Summarise it in at most" in conversation.messages[-1].content:
            return summary
        if is_second(conversation.messages):
            return DONE
        return run_block(f"print({len(heard)}, 'x' * 600)")

    return answer


def is_second(messages: Sequence[Message]) -> bool:
    return any(SECOND in message.content for message in messages)


async def heard_and_recorded(summary: str, limit: int) -> tuple[Heard, list[Event]]:
    heard: Heard = []
    phase = a_phase(
        Experiment(name="one", prompt="Find out.", max_turns=12, max_tokens=limit),
        Experiment(name="two", prompt=SECOND, max_turns=3),
    )
    async with parts_with(ScriptedBackend(working(heard, summary)), phase=phase) as (parts, kept):
        await investigate(CASE, replace(parts, window=WINDOW))
    ends = [each.stop_reason for each in kept.events if isinstance(each, ExperimentEnded)]
    assert ends == [StopReason.TOKEN_LIMIT, StopReason.COMPLETED]
    return heard, kept.events


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("summary", ["I printed x.", " "])
async def test_a_summary_is_followed_by_a_reply_before_the_limit_ends_the_experiment(
    summary: str, limit: int
) -> None:
    _, events = await heard_and_recorded(summary, limit)
    asked = [
        each
        for each in events
        if isinstance(each, Compacted | CompletionReceived | ExperimentEnded)
    ]
    before_end = asked[
        next(n for n, each in enumerate(asked) if isinstance(each, ExperimentEnded)) - 1
    ]
    assert isinstance(before_end, CompletionReceived)
    assert any(isinstance(each, Compacted) for each in asked)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("summary", ["I printed x.", " "])
async def test_no_two_messages_of_one_side_meet_where_the_next_experiment_opens(
    summary: str, limit: int
) -> None:
    heard, _ = await heard_and_recorded(summary, limit)
    for messages in heard:
        roles = [message.role for message in messages]
        assert all(one != other for one, other in pairwise(roles))


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("summary", ["I printed x.", " "])
async def test_the_journal_leads_to_the_conversation_that_the_next_experiment_opened_with(
    summary: str, limit: int
) -> None:
    heard, events = await heard_and_recorded(summary, limit)
    standing = Standing()
    for event in events:
        standing.take(event)
        if isinstance(event, ExperimentStarted) and event.experiment == "two":
            break
    assert standing.conversation.messages == next(filter(is_second, heard))
