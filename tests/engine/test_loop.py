"""One investigation: real sandbox, real introspection, scripted replies."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from engine.chat import ChatRequest
from engine.chat.scripted import Answer, ScriptedBackend, in_order
from engine.errors import ChatError, ContextOverflowError
from engine.events import (
    CompletionReceived,
    Event,
    ExperimentEnded,
    InvestigationStarted,
    TurnEnded,
)
from engine.loop import Parts, investigate, turn_seed
from engine.phase import Experiment, Phase
from engine.transcript import Completion, Conversation, StopReason, Usage
from phases.load import get_phase
from tests.engine.investigating import CASE, DONE, Kept, a_phase, again, parts_with, run_block


async def outcome(
    replies: Sequence[Answer], *experiments: Experiment
) -> tuple[StopReason, list[str], Kept]:
    """Reason, messages of the conversation from the first prompt on, record."""
    phase = a_phase(*experiments)
    async with parts_with(replies, phase=phase) as (parts, kept):
        reason = await investigate(CASE, parts)
    return reason, messages(kept), kept


def messages(kept: Kept) -> list[str]:
    start = InvestigationStarted(
        time=0, investigation=CASE.id, model="a", phase="comparison", replicate=0, seed=7
    )
    kept.events.insert(0, start)
    (transcript,) = kept.transcripts()
    return [message.content for message in transcript.messages[1:]]


def experiment(name: str = "one", **fields: object) -> Experiment:
    return Experiment.model_validate({"name": name, "prompt": "Find out.", **fields})


async def test_a_printed_signal_ends_the_investigation_and_enters_the_transcript() -> None:
    reason, said, _ = await outcome([run_block("x = 20 + 1"), run_block("print(2 * x)"), DONE])
    assert reason == StopReason.COMPLETED
    assert said[-1] == "Output:\nEXPERIMENT_COMPLETE"
    assert "Output:\n42" in said


async def test_the_signal_in_the_source_alone_does_not_end() -> None:
    silent = run_block("s = 'EXPERIMENT_COMPLETE'")
    failing = run_block("print(undefined, 'EXPERIMENT_COMPLETE')")
    _, _, kept = await outcome([silent, failing, DONE])
    assert sum(isinstance(event, TurnEnded) for event in kept.events) == 3


async def test_a_phrase_on_its_own_line_ends() -> None:
    reason, _, _ = await outcome(["That is all I can measure.\n\nExperiment complete."])
    assert reason == StopReason.COMPLETED


async def test_code_beside_the_phrase_is_executed_first() -> None:
    reason, said, _ = await outcome([run_block("print(6 * 7)") + "\nExperiment complete"])
    assert reason == StopReason.COMPLETED
    assert said[-1] == "Output:\n42"


async def test_a_reply_without_code_or_question_ends_with_no_code() -> None:
    reason, _, _ = await outcome(["I have nothing to add."])
    assert reason == StopReason.NO_CODE


async def test_a_question_is_nudged_and_the_investigation_goes_on() -> None:
    reason, said, _ = await outcome(["Should I look at the weights?", DONE])
    assert reason == StopReason.COMPLETED
    assert any(text.startswith("Nobody answers questions here") for text in said)


async def test_a_block_of_a_cut_reply_is_not_executed_and_the_model_is_told() -> None:
    cut = Completion(
        text=run_block("from introspection import memory\nmemory.record_observation('x', 'y')"),
        finish_reason="length",
        usage=Usage(),
        sent=0,
        received=0,
    )
    _, said, kept = await outcome([cut, DONE])
    turns = [event for event in kept.events if isinstance(event, TurnEnded)]
    assert turns[0].executions == ()
    assert any("cut at the token limit" in text for text in said)


async def test_an_unreadable_fence_is_said_to_be_so() -> None:
    _, said, _ = await outcome(["Run ```python print(1)``` please.", DONE])
    assert any("could not be read" in text for text in said)


async def test_all_blocks_of_a_reply_are_executed_in_order() -> None:
    _, said, _ = await outcome([run_block("a = 1") + "\n\n" + run_block("print(a + 1)"), DONE])
    assert "Block 2 of 2\nOutput:\n2" in said[2]


async def test_a_raising_block_shows_what_was_printed_and_the_error() -> None:
    _, said, kept = await outcome([run_block("print('before')\n1 / 0"), DONE])
    assert "before" in said[2]
    assert "ZeroDivisionError" in said[2]
    (first, _) = [event for event in kept.events if isinstance(event, TurnEnded)]
    assert first.executions[0].error is not None
    assert first.executions[0].error.kind == "ZeroDivisionError"


async def test_the_turn_limit_ends_an_experiment_and_the_next_one_begins() -> None:
    reason, said, kept = await outcome(
        [run_block("n = 5"), run_block("print(n)"), DONE],
        experiment("one", max_turns=2),
        experiment("two", max_turns=3),
    )
    ends = [event.stop_reason for event in kept.events if isinstance(event, ExperimentEnded)]
    assert ends == [StopReason.TURN_LIMIT, StopReason.COMPLETED]
    assert reason == StopReason.COMPLETED
    assert "Output:\n5\n\nFind out." in said, "the last observation opens the next prompt"


async def test_the_namespace_lives_through_all_experiments() -> None:
    _, said, _ = await outcome(
        [
            run_block("def f(): return 41\nprint('EXPERIMENT_COMPLETE')"),
            run_block("print(f() + 1)"),
            DONE,
        ],
        experiment("one"),
        experiment("two"),
    )
    assert "Output:\n42" in said


async def test_an_experiment_without_code_is_one_turn_and_runs_nothing() -> None:
    reason, _, kept = await outcome([run_block("print(1)")], experiment(has_code=False))
    turns = [event for event in kept.events if isinstance(event, TurnEnded)]
    assert reason == StopReason.COMPLETED
    assert [turn.executions for turn in turns] == [()]


async def test_an_invented_output_is_cut_off_and_the_real_one_is_sent() -> None:
    invented = run_block("print(6 * 7)") + "\nOutput:\n999\n\nSo it is 999."
    _, said, kept = await outcome([invented, DONE])
    assert not any("999" in text for text in said)
    assert said[2].startswith("Output:\n42\n\nOnly your own part of the reply counted")
    (first, _) = [event for event in kept.events if isinstance(event, CompletionReceived)]
    assert "999" in first.completion.text, "the journal keeps the whole reply"


async def test_a_reply_that_is_cut_while_it_invents_an_output_is_acted_on() -> None:
    own = run_block("print(6 * 7)")
    inventing = Completion(
        text=f"{own}\n\nOutput:\n41 41 41",
        finish_reason="length",
        usage=Usage(),
        sent=0,
        received=1,
    )
    _, said, _ = await outcome([inventing, DONE])
    assert any(text.startswith("Output:\n42") for text in said)


async def test_the_time_of_an_interruption_is_charged_to_nobody() -> None:
    now, phase = 1000.0, a_phase(experiment(max_seconds=60))
    async with parts_with([run_block("1"), DONE], phase=phase) as (parts, kept):
        chat = ScriptedBackend(in_order([run_block("1"), DONE]), clock=lambda: now)
        timed = replace(again(parts, chat), clock=lambda: now)
        await investigate(CASE, timed)
        first = next(n for n, e in enumerate(kept.events) if isinstance(e, CompletionReceived))
        now += 36_000
        resumed = replace(again(parts, chat), clock=lambda: now)
        reason = await investigate(CASE, resumed, kept.events[: first + 1])
    assert reason == StopReason.COMPLETED
    assert resumed.standing.ledger.seconds < 1


async def test_the_same_turn_over_and_over_is_nudged_then_stuck() -> None:
    reason, said, kept = await outcome([run_block("print(1)")], experiment(max_turns=50))
    assert reason == StopReason.STUCK
    assert sum(isinstance(event, TurnEnded) for event in kept.events) == 5
    assert sum("done the same several times" in text for text in said) == 2


async def test_the_same_code_with_new_results_is_not_stuck() -> None:
    count = run_block("n = n + 1 if 'n' in dir() else 0\nprint(n)")
    reason, _, _ = await outcome([count] * 9 + [DONE], experiment(max_turns=50))
    assert reason == StopReason.COMPLETED


async def test_questions_without_end_are_stuck() -> None:
    questions = [f"What about number {n}?" for n in range(20)]
    reason, _, kept = await outcome(questions, experiment(max_turns=50))
    assert reason == StopReason.STUCK
    assert sum(isinstance(event, TurnEnded) for event in kept.events) == 5


async def test_an_empty_reply_is_said_to_be_empty() -> None:
    _, said, _ = await outcome(["", DONE])
    assert any(text.startswith("Your reply was empty") for text in said)


async def test_the_token_budget_ends_the_whole_investigation() -> None:
    phase = a_phase(experiment("one"), experiment("two")).model_copy(update={"max_tokens_total": 1})
    async with parts_with([run_block("print(1)")], phase=phase) as (parts, kept):
        assert await investigate(CASE, parts) == StopReason.TOKEN_LIMIT
    assert sum(isinstance(event, CompletionReceived) for event in kept.events) == 1


@pytest.mark.parametrize(
    ("limit", "reason"),
    [({"max_tokens": 1}, StopReason.TOKEN_LIMIT), ({"max_seconds": 1e-6}, StopReason.TIME_LIMIT)],
)
async def test_the_budget_of_an_experiment_ends_it_and_the_next_one_begins(
    limit: dict[str, float], reason: StopReason
) -> None:
    _, said, kept = await outcome(
        [run_block("print(5)"), DONE], experiment("one", **limit), experiment("two")
    )
    ends = [event.stop_reason for event in kept.events if isinstance(event, ExperimentEnded)]
    assert ends == [reason, StopReason.COMPLETED]
    assert "Output:\n5\n\nFind out." in said, "the last observation opens the next prompt"


async def test_the_turns_of_all_experiments_have_a_limit() -> None:
    phase = a_phase(experiment("one", max_turns=2), experiment("two"), experiment("three"))
    limited = phase.model_copy(update={"max_turns_total": 3})
    talk = [run_block(f"print({n})") for n in range(9)]
    async with parts_with(talk, phase=limited) as (parts, kept):
        assert await investigate(CASE, parts) == StopReason.TURN_LIMIT
    assert sum(isinstance(event, TurnEnded) for event in kept.events) == 3
    ends = [event.experiment for event in kept.events if isinstance(event, ExperimentEnded)]
    assert ends == ["one", "two"], "no experiment is begun that has no turn left"


def limited_phase() -> Phase:
    """Two experiments, and three turns for both."""
    phase = a_phase(experiment("one"), experiment("two"))
    return phase.model_copy(update={"max_turns_total": 3})


async def resumed(
    parts: Parts, history: Sequence[Event]
) -> tuple[StopReason, list[ExperimentEnded]]:
    """Go on from `history` without another reply; return why it ended, and what ended then."""
    after = Kept()
    going = replace(again(parts, ScriptedBackend(in_order([]))), record=after)
    reason = await investigate(CASE, going, history)
    return reason, [event for event in after.events if isinstance(event, ExperimentEnded)]


@pytest.mark.parametrize(
    ("last", "stop_reason"),
    [(DONE, StopReason.COMPLETED), (run_block("print(2)"), StopReason.TURN_LIMIT)],
)
async def test_a_resume_with_nothing_left_still_ends_the_open_experiment(
    last: str, stop_reason: StopReason
) -> None:
    replies = [DONE, run_block("print(1)"), last]
    async with parts_with(replies, phase=limited_phase()) as (parts, kept):
        whole = await investigate(CASE, parts)
        reason, ended = await resumed(parts, kept.events[:-1])
    assert reason == whole == stop_reason
    assert [(each.experiment, each.stop_reason) for each in ended] == [("two", stop_reason)]


async def test_a_paid_completion_is_acted_on_though_the_tokens_are_spent_since() -> None:
    phase = limited_phase().model_copy(update={"max_turns_total": None})
    async with parts_with([DONE, DONE], phase=phase) as (parts, kept):
        await investigate(CASE, parts)
        received = [n for n, e in enumerate(kept.events) if isinstance(e, CompletionReceived)]
        spent = replace(parts, phase=phase.model_copy(update={"max_tokens_total": 1}))
        reason, ended = await resumed(spent, kept.events[: received[-1] + 1])
    assert reason == StopReason.COMPLETED
    assert [each.experiment for each in ended] == ["two"]


async def test_an_overflow_that_the_server_reports_ends_with_context_full() -> None:
    def overflow(_conversation: Conversation, _seed: int) -> Answer:
        raise ContextOverflowError("too long", status=400)

    async with parts_with(ScriptedBackend(overflow)) as (parts, _):
        assert await investigate(CASE, parts) == StopReason.CONTEXT_FULL


async def test_a_chat_error_leaves_the_loop() -> None:
    def refuse(_conversation: Conversation, _seed: int) -> Answer:
        raise ChatError("no", status=401)

    async with parts_with(ScriptedBackend(refuse)) as (parts, _):
        with pytest.raises(ChatError):
            await investigate(CASE, parts)


async def test_every_request_waits_for_the_completions_before_it() -> None:
    seen: list[tuple[int, int]] = []

    class Watching:
        async def complete(self, request: ChatRequest) -> Completion:
            seen.append((kept.n_secured, len(kept.events)))
            return await ScriptedBackend(in_order([run_block("print(1)"), DONE])).complete(request)

    async with parts_with(Watching()) as (parts, kept):
        await investigate(CASE, parts)
    assert [commits for commits, _ in seen] == [1, 2]


def test_turn_seeds_differ_between_turns_and_fit_both_servers() -> None:
    seeds = {turn_seed(7, turn) for turn in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_phases_ship_with_the_texts_that_the_loop_needs(phase_key: str) -> None:
    assert isinstance(get_phase(phase_key), Phase)


@pytest.fixture(params=["comparison", "1a"])
def phase_key(request: pytest.FixtureRequest) -> str:
    return request.param
