"""Many investigations: order, pairing, isolation."""

import asyncio
from dataclasses import replace

import pytest

from engine.chat import ChatRequest
from engine.chat.scripted import Answer, ScriptedBackend, in_order
from engine.drain import Drain
from engine.errors import ChatError, JournalError
from engine.events import Event, InvestigationEnded
from engine.runner import conduct, plan
from engine.transcript import Completion, Conversation, Investigation, StopReason
from tests.engine.investigating import DONE, again, parts_with, run_block

CASES = plan(models=["a", "b"], phases=["comparison"], replicates=3, seed=1)


def test_models_share_the_seeds_of_a_replicate_and_replicates_differ() -> None:
    seeds = {(case.model, case.replicate): case.seed for case in CASES}
    assert [seeds["a", n] for n in range(3)] == [seeds["b", n] for n in range(3)]
    assert len(set(seeds.values())) == 3


def test_arms_are_interleaved() -> None:
    assert [case.model for case in CASES] == ["a", "b"] * 3


async def test_a_failing_investigation_ends_typed_and_its_siblings_go_on() -> None:
    def refuse(_conversation: Conversation, _seed: int) -> Answer:
        raise ChatError("key refused", status=401)

    good = ScriptedBackend(in_order([DONE]))
    async with parts_with(good) as (parts, kept):
        ends = await conduct(
            CASES,
            lambda case: again(parts, ScriptedBackend(refuse) if case.model == "a" else good),
            concurrency=8,
        )
    assert {ends[case.id] for case in CASES if case.model == "a"} == {StopReason.REJECTED}
    assert {ends[case.id] for case in CASES if case.model == "b"} == {StopReason.COMPLETED}
    details = [e.detail for e in kept.events if isinstance(e, InvestigationEnded) and e.detail]
    assert details == ["key refused"] * 3


async def test_a_defect_of_the_engine_is_a_fault_of_one_investigation() -> None:
    def broken(_conversation: Conversation, _seed: int) -> Answer:
        raise ZeroDivisionError

    async with parts_with(ScriptedBackend(broken)) as (parts, _):
        ends = await conduct(CASES[:1], lambda _case: parts, concurrency=1)
    assert set(ends.values()) == {StopReason.FAULT}


async def test_a_journal_that_fails_ends_the_run() -> None:
    class Full:
        def append(self, event: Event) -> None:
            if isinstance(event, InvestigationEnded):
                raise JournalError("disk full")

        async def secure(self) -> None:
            pass

        async def commit(self) -> None:
            pass

    async with parts_with([DONE]) as (parts, _):
        with pytest.raises(JournalError, match="disk full"):
            await conduct(CASES, lambda _case: replace(parts, record=Full()), concurrency=8)


async def test_a_slow_model_never_keeps_the_other_waiting() -> None:
    is_over = asyncio.Event()

    class Slow:
        async def complete(self, request: ChatRequest) -> Completion:
            await is_over.wait()
            return await ScriptedBackend(in_order([DONE])).complete(request)

    n_fast_left = 3

    def ended(case: Investigation) -> None:
        nonlocal n_fast_left
        n_fast_left -= case.model == "b"
        if n_fast_left == 0:
            is_over.set()

    class Telling:
        def __init__(self, inner: ScriptedBackend, case: Investigation) -> None:
            self._inner, self._case = inner, case

        async def complete(self, request: ChatRequest) -> Completion:
            completion = await self._inner.complete(request)
            if completion.text == DONE:
                ended(self._case)
            return completion

    fast = ScriptedBackend(in_order([run_block("print(1)"), DONE]))
    async with parts_with(fast) as (parts, _), asyncio.timeout(60):
        ends = await conduct(
            CASES,
            lambda case: again(parts, Slow() if case.model == "a" else Telling(fast, case)),
            concurrency=1,
        )
    assert set(ends.values()) == {StopReason.COMPLETED}


async def test_cancelling_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    never = asyncio.Event()

    class Hanging:
        async def complete(self, request: ChatRequest) -> Completion:
            await never.wait()
            raise AssertionError(request)

    async with parts_with(Hanging()) as (parts, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await conduct(CASES, lambda _case: again(parts, Hanging()), concurrency=8)
    assert asyncio.all_tasks() == before


async def test_a_drain_lets_go_of_all_that_wait_to_begin() -> None:
    drain, begun = Drain(), asyncio.Event()

    class Asked:
        async def complete(self, request: ChatRequest) -> Completion:
            begun.set()
            while drain.reason is None:
                await asyncio.sleep(0)
            return await ScriptedBackend(in_order([run_block("print(1)")])).complete(request)

    async def never(investigation: str) -> None:
        if investigation.startswith("b"):
            await asyncio.Event().wait()

    async def interrupt() -> None:
        await begun.wait()
        drain.begin("enough")

    async with (
        parts_with(Asked()) as (parts, kept),
        asyncio.timeout(60),
        asyncio.TaskGroup() as group,
    ):
        group.create_task(interrupt())
        ends = await conduct(
            CASES,
            lambda _case: replace(again(parts, Asked()), drain=drain),
            concurrency=1,
            fork_of=never,
            drain=drain,
        )
    assert ends == {}
    assert [type(event).__name__ for event in kept.events] == [
        "InvestigationStarted",
        "ExperimentStarted",
        "CompletionReceived",
        "TurnEnded",
    ]


async def test_a_drain_that_has_begun_lets_nothing_begin() -> None:
    drain = Drain()
    drain.begin("enough")
    async with parts_with([DONE]) as (parts, kept):
        ends = await conduct(CASES, lambda _case: parts, concurrency=1, drain=drain)
    assert ends == {}
    assert kept.events == []
