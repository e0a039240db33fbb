"""What every chat backend keeps, whichever answers: one suite over all implementations.

To add one, write a function that opens it as a `ChatCase` and name it in `CASES`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest

from engine.access import OPEN
from engine.chat import ChatBackend, ChatRequest
from engine.chat.discovery import resolve
from engine.chat.scripted import ScriptedBackend
from engine.chat.served import open_backend
from engine.endpoint import Endpoint
from engine.errors import ContextOverflowError
from engine.transcript import Conversation, Message
from tests.faults.process import server_process

N_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class ChatCase:
    """An open backend, and what the suite may expect of it."""

    backend: ChatBackend
    window_tokens: int
    """Prompts beyond it must overflow."""


OpenCase = Callable[[], AbstractAsyncContextManager[ChatCase]]


@asynccontextmanager
async def scripted() -> AsyncGenerator[ChatCase]:
    def script(conversation: Conversation, seed: int) -> str:
        return f"{seed} {conversation.messages[-1].content} " * 20

    yield ChatCase(backend=ScriptedBackend(script, max_model_len=512), window_tokens=512)


@asynccontextmanager
async def served() -> AsyncGenerator[ChatCase]:
    async with (
        server_process("--window-tokens", "512") as url,
        served_at(Endpoint(model="a", url=url, served_model="served-model")) as case,
    ):
        yield case


@asynccontextmanager
async def served_at(endpoint: Endpoint) -> AsyncGenerator[ChatCase]:
    """Open the case of a real server: its window is what discovery finds."""
    found = await resolve(endpoint, access=OPEN)
    assert found.max_model_len is not None
    async with open_backend(found, access=OPEN) as backend:
        yield ChatCase(backend=backend, window_tokens=found.max_model_len)


CASES: dict[str, OpenCase] = {"scripted": scripted, "served": served}


@pytest.fixture(params=CASES)
async def chat_case(request: pytest.FixtureRequest) -> AsyncGenerator[ChatCase]:
    async with CASES[request.param]() as case:
        yield case


def _request(text: str, *, seed: int = 1, max_tokens: int = 16) -> ChatRequest:
    messages = [Message("system", "You investigate yourself."), Message("user", text)]
    return ChatRequest(
        conversation=Conversation(messages),
        seed=seed,
        temperature=0.7,
        top_p=0.9,
        max_tokens=max_tokens,
    )


async def test_a_completion_says_why_it_ended(chat_case: ChatCase) -> None:
    completion = await chat_case.backend.complete(_request("Look at your layers."))
    assert completion.finish_reason in {"stop", "length"}


async def test_tokens_are_counted_on_both_sides(chat_case: ChatCase) -> None:
    usage = (await chat_case.backend.complete(_request("Look at your layers."))).usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert 0 <= usage.cached_tokens <= usage.prompt_tokens


async def test_times_are_epoch_seconds_in_order(chat_case: ChatCase) -> None:
    before = time.time()
    completion = await chat_case.backend.complete(_request("Look at your layers."))
    assert before <= completion.sent <= completion.received <= time.time()


async def test_max_tokens_is_a_limit_and_reaching_it_is_a_cut(chat_case: ChatCase) -> None:
    completion = await chat_case.backend.complete(_request("Tell all you know.", max_tokens=2))
    assert completion.usage.completion_tokens <= 2
    assert completion.finish_reason == "length"


async def test_the_same_request_and_seed_get_the_same_reply(chat_case: ChatCase) -> None:
    first = await chat_case.backend.complete(_request("Look.", seed=5))
    second = await chat_case.backend.complete(_request("Look.", seed=5))
    assert first.text == second.text


async def test_a_longer_conversation_has_a_longer_prompt(chat_case: ChatCase) -> None:
    short = await chat_case.backend.complete(_request("Look."))
    long = await chat_case.backend.complete(_request("Look. " * 20))
    assert long.usage.prompt_tokens > short.usage.prompt_tokens


async def test_asking_leaves_the_conversation_as_it_was(chat_case: ChatCase) -> None:
    request = _request("Look.")
    before = request.conversation.encoded()
    await chat_case.backend.complete(request)
    assert request.conversation.encoded() == before


async def test_many_are_answered_at_once(chat_case: ChatCase) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(chat_case.backend.complete(_request(f"Look at {n}.", seed=n)))
            for n in range(N_AT_ONCE)
        ]
    assert all(task.result().usage.completion_tokens > 0 for task in tasks)


async def test_a_prompt_beyond_the_window_is_an_overflow(chat_case: ChatCase) -> None:
    too_long = "layers and heads " * chat_case.window_tokens
    with pytest.raises(ContextOverflowError):
        await chat_case.backend.complete(_request(too_long))


async def test_a_cancelled_request_leaves_the_backend_usable(chat_case: ChatCase) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(chat_case.backend.complete(_request("Look.", max_tokens=64)))
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
    assert (await chat_case.backend.complete(_request("Look."))).usage.completion_tokens > 0
