"""Long conversations on a real vLLM server: what its prefix cache saves, and small windows."""

import re
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from time import monotonic

import httpx2
import msgspec
import pytest

from engine.access import OPEN
from engine.chat import ChatRequest
from engine.chat.load import Load, parse_load
from engine.chat.served import Served as Backend
from engine.chat.served import open_backend
from engine.endpoint import Endpoint, beside
from engine.events import Compacted, CompletionReceived
from engine.loop import investigate
from engine.transcript import Completion, StopReason
from servers.embedded.model import tiny_models
from tests.contracts.vllm.pair import make_start, served
from tests.engine.investigating import CASE, parts_with
from tests.engine.test_compaction import counting, long_phase

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(1800)]

WINDOW = 2048
_BLOCK_SIZE = re.compile(r'cache_config_info\{[^}]*block_size="(\d+)"')


@pytest.fixture(scope="module")
def small_window(
    vllm_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Endpoint]:
    """The smaller model that ships, with a window of 2k."""
    model = msgspec.structs.replace(tiny_models()[0], window_tokens=WINDOW)
    with served([make_start(vllm_program, "a", model)], tmp_path_factory.mktemp("small")) as one:
        yield one.endpoints[0]


class Seen(msgspec.Struct, frozen=True):
    """One request, and what of its prompt was found in the prefix cache."""

    tokens: list[int]
    n_hit: int


@dataclass
class Steered:
    """The served model, whose replies count on: every prompt is read, as long as it takes."""

    backend: Backend
    endpoint: Endpoint
    has_cache_watched: bool = True
    seen: list[Seen] = field(default_factory=list[Seen])

    async def complete(self, request: ChatRequest) -> Completion:
        before = self._load() if self.has_cache_watched else None
        completion = await self.backend.complete(request)
        if before:
            n_hit = self._load().prefix_hit_tokens - before.prefix_hit_tokens
            self.seen.append(Seen(self._tokens(request), n_hit))
        return msgspec.structs.replace(
            completion, text=counting(request.conversation, request.seed), finish_reason="stop"
        )

    def block_size(self) -> int:
        found = _BLOCK_SIZE.search(self._metrics())
        assert found
        return int(found[1])

    def _load(self) -> Load:
        load = parse_load(self._metrics(), time_s=monotonic())
        assert load
        return load

    def _metrics(self) -> str:
        return httpx2.get(beside(self.endpoint.url, "metrics"), timeout=60).text

    def _tokens(self, request: ChatRequest) -> list[int]:
        messages = [msgspec.to_builtins(each) for each in request.conversation.messages]
        question = {"model": self.endpoint.served_model, "messages": messages}
        url = beside(self.endpoint.url, "tokenize")
        return httpx2.post(url, json=question, timeout=60).json()["tokens"]


@asynccontextmanager
async def steered(endpoint: Endpoint, *, has_cache_watched: bool = True) -> AsyncGenerator[Steered]:
    async with open_backend(endpoint, access=OPEN) as backend:
        yield Steered(backend, endpoint, has_cache_watched)


def n_shared(before: Seen, after: Seen, block_size: int) -> int:
    """Tokens of whole blocks with which both prompts begin."""
    pairs = zip(before.tokens, after.tokens, strict=False)
    n_alike = next((n for n, (a, b) in enumerate(pairs) if a != b), len(before.tokens))
    return n_alike // block_size * block_size


def hit_share(seen: Sequence[Seen], block_size: int) -> float:
    n_possible = sum(n_shared(a, b, block_size) for a, b in pairwise(seen))
    assert n_possible, "nothing was shared"
    return sum(each.n_hit for each in seen[1:]) / n_possible


async def test_the_prefix_cache_saves_what_it_can_before_and_after_a_compaction(
    small_window: Endpoint,
) -> None:
    async with (
        steered(small_window) as chat,
        parts_with(chat, phase=long_phase(40)) as (parts, kept),
    ):
        await investigate(CASE, replace(parts, window=WINDOW))
        block_size = chat.block_size()
    talk = [event for event in kept.events if isinstance(event, Compacted | CompletionReceived)]
    first = next(n for n, event in enumerate(talk) if isinstance(event, Compacted))
    assert first >= 10, "ten turns before the first compaction"
    assert hit_share(chat.seen[: first + 1], block_size) >= 0.9
    assert hit_share(chat.seen[first + 1 : first + 11], block_size) >= 0.9


async def test_two_hundred_turns_on_a_window_of_2k_run_to_their_end(small_window: Endpoint) -> None:
    phase = long_phase(200)
    brief = phase.sampling.model_copy(update={"max_tokens": 64})
    async with (
        steered(small_window, has_cache_watched=False) as chat,
        parts_with(chat, phase=phase.model_copy(update={"sampling": brief})) as (parts, kept),
    ):
        reason = await investigate(CASE, replace(parts, window=WINDOW, count=chat.backend.count))
    assert reason == StopReason.TURN_LIMIT
    assert sum(isinstance(event, CompletionReceived) for event in kept.events) == 200
    assert sum(isinstance(event, Compacted) for event in kept.events) > 5


async def test_the_server_counts_the_prompt_that_it_reads(small_window: Endpoint) -> None:
    async with (
        steered(small_window) as chat,
        parts_with(chat, phase=long_phase(3)) as (parts, kept),
    ):
        await investigate(CASE, parts)
        last = next(e for e in reversed(kept.events) if isinstance(e, CompletionReceived))
        conversation = parts.standing.conversation
        counted = await chat.backend.count(type(conversation)(conversation.messages[:-1]))
    assert counted == last.completion.usage.prompt_tokens
