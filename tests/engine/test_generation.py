"""What model code reads about its own generation is what the engine did, resumed or not."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from engine.chat.scripted import Answer, ScriptedBackend, in_order
from engine.events import CompletionReceived, TurnEnded
from engine.introspection.generation import generated
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.loop import Parts, investigate
from engine.phase import Experiment
from engine.standing import Standing
from engine.transcript import Completion, Usage
from tests.engine.investigating import CASE, DONE, Kept, a_phase, parts_with, run_block

WINDOW = 4096
READ = run_block("from introspection import generation\nprint(generation.get_generation_info())")
READ_AND_END = run_block(
    "from introspection import generation\n"
    "print(generation.get_generation_info())\nprint('EXPERIMENT_COMPLETE')"
)


def reply(text: str, *usage: int) -> Completion:
    return Completion(text=text, finish_reason="stop", usage=Usage(*usage), sent=1.0, received=2.0)


def reported(parts: Parts) -> Parts:
    """The same parts at their beginning, with the generation of the investigation granted."""
    phase, standing = parts.phase, Standing()
    report = partial(generated, phase, standing, window=WINDOW)
    powers = CapabilityTable(["generation"], subject=Subject(), generation=report)
    return replace(parts, powers=powers, standing=standing, window=WINDOW)


@asynccontextmanager
async def reporting(replies: Sequence[Answer]) -> AsyncGenerator[tuple[Parts, Kept]]:
    phase = a_phase(Experiment(name="one", prompt="Find out.", max_turns=9))
    async with parts_with(replies, phase=phase) as (parts, kept):
        yield reported(parts), kept


def printed(kept: Kept) -> list[dict[str, object]]:
    outputs = [each.executions[0].output for each in kept.events if isinstance(each, TurnEnded)]
    return [eval(output.splitlines()[0]) for output in outputs]  # noqa: S307 - a printed dict


async def test_the_figures_are_those_of_the_sampling_the_window_and_all_replies_so_far() -> None:
    replies = [reply(READ, 100, 20, 0), reply(READ_AND_END, 300, 30, 90)]
    async with reporting(replies) as (parts, kept):
        await investigate(CASE, parts)
        sampling = parts.phase.sampling
    first, second = printed(kept)
    assert second == {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_reply_tokens": sampling.max_tokens,
        "context_window_tokens": WINDOW,
        "context_used_tokens": 330,
        "n_replies": 2,
        "prompt_tokens": 400,
        "completion_tokens": 50,
        "cached_tokens": 90,
        "n_compactions": 0,
    }
    assert (first["n_replies"], first["prompt_tokens"], first["cached_tokens"]) == (1, 100, 0)


async def test_a_turn_that_was_cut_off_reads_the_same_figures_when_it_is_made_again() -> None:
    replies = [reply(READ, 100, 20, 0), reply(READ, 300, 30, 90), DONE]
    async with reporting(replies) as (parts, kept):
        await investigate(CASE, parts)
        received = [isinstance(event, CompletionReceived) for event in kept.events]
        second = [place for place, is_one in enumerate(received) if is_one][1]
        history, resumed = kept.events[: second + 1], Kept()
        chat = ScriptedBackend(in_order(replies))
        await investigate(CASE, replace(reported(parts), record=resumed, chat=chat), history)
    whole = [each for each in kept.events if isinstance(each, TurnEnded)][1]
    again = next(each for each in resumed.events if isinstance(each, TurnEnded))
    assert again.executions[0].output == whole.executions[0].output
    assert "'n_replies': 2" in again.executions[0].output


async def test_a_summary_counts_as_a_compaction_and_as_no_reply() -> None:
    full = [
        reply(READ, 100, 20),
        reply(READ, 3500, 100),
        reply("I counted.", 9, 9, 9),
        reply(READ_AND_END, 50, 5),
    ]
    async with reporting([]) as (parts, kept):
        pending = iter(full)
        chat = ScriptedBackend(lambda _conversation, _seed: next(pending))
        await investigate(CASE, replace(parts, chat=chat))
    last = printed(kept)[-1]
    assert (last["n_compactions"], last["n_replies"], last["prompt_tokens"]) == (1, 3, 3650)
