"""The table of failing turns: for each a server that fails in that way, and what becomes of it.

Whole investigations: real HTTP, real sandbox, real loop.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from engine.access import OPEN
from engine.chat.patience import Patience
from engine.chat.served import open_backend
from engine.compare.measures import measure
from engine.endpoint import Endpoint
from engine.events import Compacted, InvestigationEnded, TurnEnded
from engine.loop import Parts
from engine.phase import Experiment, Phase
from engine.runner import conduct
from engine.transcript import StopReason
from tests.chat.asking import Pauses, make_endpoint
from tests.engine.investigating import CASE, DONE, Kept, a_phase, again, parts_with, run_block
from tests.faults.asks import PROPERLY, Ask, Plan, ReplyOf, always, at_first
from tests.faults.faults import Fault
from tests.faults.process import server_process
from tests.faults.server import FaultyServer, held_port, serving

PATIENCE = Patience(attempts=20)
HASTY = Patience(attempts=20, answer_s=0.5)
"""Where an answer does not come to its end."""


@dataclass(frozen=True)
class Outcome:
    """What became of one investigation."""

    reason: StopReason
    kept: Kept
    asks: Sequence[Ask]
    pauses: Pauses

    @property
    def turns(self) -> list[TurnEnded]:
        return [event for event in self.kept.events if isinstance(event, TurnEnded)]

    @property
    def said(self) -> list[str]:
        """What was said to the model."""
        return [m.content for m in self.asks[-1].body.messages if m.role == "user"]

    @property
    def outputs(self) -> list[str]:
        return [execution.output for turn in self.turns for execution in turn.executions]

    @property
    def end(self) -> InvestigationEnded:
        return next(e for e in self.kept.events if isinstance(e, InvestigationEnded))


def in_turn(*talk: str) -> ReplyOf:
    return lambda ask: talk[min(ask.turn, len(talk) - 1)]


STEPS = in_turn(run_block("x = 40"), run_block("print(x + 2)"), DONE)


def at_turns(**faults: Fault) -> Plan:
    """Answer turn n with the fault called `turn_n`, and the others properly."""
    return lambda ask: faults.get(f"turn_{ask.turn}", Fault.NONE)


def long_phase() -> Phase:
    return a_phase(Experiment(name="one", prompt="Find out.", max_turns=12))


@asynccontextmanager
async def parts_at(
    endpoint: Endpoint, pauses: Pauses, patience: Patience = PATIENCE
) -> AsyncGenerator[tuple[Parts, Kept]]:
    async with (
        open_backend(
            endpoint, access=OPEN, patience=patience, sleep=pauses.sleep, clock=pauses.clock
        ) as backend,
        parts_with(backend, phase=long_phase()) as (parts, kept),
    ):
        yield parts, kept


async def outcome(
    reply: ReplyOf = STEPS,
    plan: Plan = PROPERLY,
    *,
    window: int | None = None,
    served: str = "served-model",
    key: str | None = None,
    patience: Patience = PATIENCE,
) -> Outcome:
    server = FaultyServer(
        plan=plan,
        reply=reply,
        window_tokens=window or 100_000,
        served=(served,),
        key=key,
    )
    pauses = Pauses()
    async with (
        serving(server=server),
        parts_at(make_endpoint(server.url), pauses, patience) as (parts, kept),
        asyncio.timeout(120),
    ):
        ends = await conduct([CASE], lambda _case: replace(parts, window=window), concurrency=1)
    return Outcome(ends[CASE.id], kept, server.asks, pauses)


async def test_a_full_window_is_compacted_and_the_investigation_goes_on() -> None:
    turns: list[int] = []

    def reply(ask: Ask) -> str:
        turns.append(ask.turn)
        return DONE if ask.turn < max(turns) else run_block(f"print({ask.turn}, 'x' * 600)")

    done = await outcome(reply, at_turns(turn_6=Fault.OVERFLOW_VLLM))
    assert done.reason == StopReason.COMPLETED
    assert sum(isinstance(event, Compacted) for event in done.kept.events) == 1


async def test_a_summary_that_the_server_breaks_off_is_asked_for_again() -> None:
    def plan(ask: Ask) -> Fault:
        asks_summary = "Summarise it" in ask.body.messages[-1].content
        return Fault.ABORTED if asks_summary and not ask.attempt else Fault.NONE

    talk = [run_block(f"print({n}, 'x' * 600)") for n in range(9)]
    done = await outcome(in_turn(*talk, DONE), plan, window=2_000)
    summaries = [e.completion for e in done.kept.events if isinstance(e, Compacted)]
    assert summaries
    assert {summary.finish_reason for summary in summaries} == {"stop"}


async def test_a_window_that_stays_full_ends_with_context_full() -> None:
    done = await outcome(plan=at_turns(turn_2=Fault.OVERFLOW_LLAMA_CPP))
    assert done.reason == StopReason.CONTEXT_FULL
    assert not done.reason.is_infrastructure


async def test_a_reply_gets_what_the_window_has_left_so_that_none_is_refused() -> None:
    talk = [run_block(f"print({n}, 'x' * 600)") for n in range(9)]
    done = await outcome(in_turn(*talk, DONE), window=2_000)
    wanted = done.asks[0].body.max_tokens
    assert min(ask.body.max_tokens for ask in done.asks) < wanted
    assert all(ask.attempt == 0 for ask in done.asks), "one was refused and sent again"
    assert done.reason in {StopReason.COMPLETED, StopReason.TURN_LIMIT}


async def test_nothing_of_a_reply_cut_by_length_is_executed_and_it_is_said_to_be_cut() -> None:
    done = await outcome(plan=at_turns(turn_0=Fault.CUT))
    assert done.turns[0].action == "cut"
    assert done.turns[0].executions == ()
    assert "cut at the token limit" in done.said[1]


async def test_an_empty_reply_is_told_so_and_the_investigation_goes_on() -> None:
    done = await outcome(plan=at_turns(turn_0=Fault.NULL_CONTENT))
    assert done.said[1].startswith("Your reply was empty")
    assert done.reason == StopReason.COMPLETED


async def test_nothing_but_empty_replies_is_stuck() -> None:
    assert (await outcome(plan=always(Fault.NULL_CONTENT))).reason == StopReason.STUCK


async def test_a_reply_without_code_ends_with_no_code() -> None:
    assert (await outcome(in_turn("I have nothing to add."))).reason == StopReason.NO_CODE


async def test_a_malformed_fence_is_told_and_not_executed() -> None:
    done = await outcome(in_turn("Run ```python print(1)``` now.", DONE))
    assert "could not be read" in done.said[1]
    assert done.turns[0].executions == ()


async def test_several_blocks_are_executed_in_order() -> None:
    done = await outcome(in_turn(run_block("y = 1") + "\n\n" + run_block("print(y + 1)"), DONE))
    assert done.outputs[:2] == ["", "2\n"]


async def test_the_users_part_written_by_the_model_is_neither_executed_nor_sent_back() -> None:
    played = run_block("print(6 * 7)") + "\nUser: well done\n\n" + run_block("print('invented')")
    done = await outcome(in_turn(played, DONE))
    assert done.outputs[0] == "42\n"
    assert not any("invented" in message.content for message in done.asks[-1].body.messages)


async def test_a_reply_that_runs_in_circles_is_told_and_not_executed() -> None:
    circles = run_block("print(1)") + "\nI look at the layers again. " * 60
    done = await outcome(in_turn(circles, DONE), at_turns(turn_0=Fault.CUT))
    assert done.turns[0].action == "circling"
    assert done.turns[0].executions == ()
    assert "repeated itself" in done.said[1]


async def test_the_same_turn_again_and_again_is_nudged_and_then_stuck() -> None:
    done = await outcome(in_turn(run_block("print(1)")))
    assert done.reason == StopReason.STUCK
    assert any("done the same several times" in text for text in done.said)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.RATE_LIMIT,
        Fault.SERVER_ERROR,
        Fault.UNAVAILABLE,
        Fault.RESET,
        Fault.RESET_MIDWAY,
        Fault.HANG,
        Fault.DRIP,
        Fault.INVALID_JSON,
        Fault.HTML,
        Fault.NESTED,
        Fault.ABORTED,
        Fault.BROKEN_UPSTREAM,
        Fault.ERROR_BESIDE_NULL,
    ],
)
async def test_trouble_that_passes_leaves_no_trace_in_the_conversation(fault: Fault) -> None:
    patience = HASTY if fault in {Fault.HANG, Fault.DRIP} else PATIENCE
    plain, troubled = await outcome(), await outcome(plan=at_first(fault), patience=patience)
    assert troubled.reason == StopReason.COMPLETED
    assert troubled.outputs == plain.outputs
    assert troubled.asks[-1].body == plain.asks[-1].body
    assert len(troubled.asks) > len(plain.asks)


async def test_a_pause_that_the_server_asks_for_is_kept() -> None:
    done = await outcome(plan=at_first(Fault.RATE_LIMIT))
    assert min(done.pauses.taken_s) >= 7.0


@pytest.mark.parametrize(
    "fault", [Fault.SERVER_ERROR, Fault.RESET, Fault.INVALID_JSON, Fault.ABORTED]
)
async def test_trouble_that_stays_loses_the_server_and_is_not_the_models_doing(
    fault: Fault,
) -> None:
    done = await outcome(plan=lambda ask: fault if ask.turn == 1 else Fault.NONE)
    assert done.reason == StopReason.SERVER_LOST
    assert "(asked 20 times)" in done.end.detail
    assert_left_out(done)


@pytest.mark.parametrize(
    ("served", "key", "remedy"),
    [
        ("another-model", None, "does not serve 'served-model'"),
        ("served-model", "a-new-key", "OPENAI_API_KEY"),
    ],
)
async def test_a_refusal_for_good_ends_at_once_and_names_the_remedy(
    served: str, key: str | None, remedy: str
) -> None:
    done = await outcome(served=served, key=key)
    assert done.reason == StopReason.REJECTED
    assert len(done.asks) == 1
    assert remedy in done.end.detail
    assert_left_out(done)


async def test_what_a_filter_left_of_a_reply_is_not_executed_and_not_the_models_doing() -> None:
    done = await outcome(plan=at_turns(turn_1=Fault.FILTERED))
    assert done.reason == StopReason.REJECTED
    assert [ask.turn for ask in done.asks] == [0, 1]
    assert len(done.turns) == 1
    assert_left_out(done)


async def test_a_key_that_expires_is_a_refusal_and_a_new_one_goes_on_at_the_same_turn() -> None:
    refused = await outcome(plan=at_turns(turn_2=Fault.WRONG_KEY))
    assert refused.reason == StopReason.REJECTED
    history = refused.kept.events[:-1]
    server, pauses = FaultyServer(reply=STEPS), Pauses()
    async with (
        serving(server=server),
        parts_at(make_endpoint(server.url), pauses) as (parts, _),
    ):
        ends = await conduct(
            [CASE],
            lambda _case: again(parts, parts.chat),
            concurrency=1,
            histories={CASE.id: history},
        )
    assert ends[CASE.id] == StopReason.COMPLETED
    assert [ask.turn for ask in server.asks] == [2], "what was received is not asked for again"


@pytest.fixture
def own_port() -> Generator[int]:
    with held_port() as port:
        yield port


@pytest.mark.slow
async def test_a_server_that_is_killed_and_started_again_costs_nothing(own_port: int) -> None:
    options = ("--port", str(own_port), "--steps", "--latency-s", "0.2", "--window-tokens", "30000")
    endpoint = make_endpoint(f"http://127.0.0.1:{own_port}/v1")
    async with (
        open_backend(endpoint, access=OPEN, patience=Patience(attempts=30)) as backend,
        parts_with(backend, phase=long_phase()) as (parts, kept),
        asyncio.timeout(120),
        asyncio.TaskGroup() as group,
    ):
        async with server_process(*options):
            ends = group.create_task(conduct([CASE], lambda _case: parts, concurrency=1))
            while not any(isinstance(event, TurnEnded) for event in kept.events):
                await asyncio.sleep(0.01)
        async with server_process(*options):
            assert (await ends)[CASE.id] == StopReason.COMPLETED
    assert sum(isinstance(event, TurnEnded) for event in kept.events) == 5


def assert_left_out(done: Outcome) -> None:
    (transcript,) = done.kept.transcripts()
    assert done.reason.is_infrastructure
    assert measure(transcript).is_infrastructure
