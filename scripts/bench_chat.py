"""CPU of one chat request: the engine's backend beside the client's own `create()`.

    python -m scripts.bench_chat --server http://127.0.0.1:8000/v1 --model my-model

Any OpenAI-shaped server will do; a mock that answers at once shows the client alone.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import openai

from engine.access import Access
from engine.chat import ChatRequest
from engine.chat.served import open_backend
from engine.endpoint import Endpoint
from engine.transcript import Conversation, Message

Ask = Callable[[int], Awaitable[object]]

_MESSAGES = [
    Message("system", "You investigate how you work yourself, in Python."),
    Message("user", "Look at your own layers. " * 80),
]


@asynccontextmanager
async def _through_engine(server: str, model: str) -> AsyncGenerator[Ask]:
    conversation = Conversation(_MESSAGES)
    endpoint = Endpoint(model="m", url=server, served_model=model)
    async with open_backend(endpoint, access=Access(key="x")) as backend:

        async def ask(seed: int) -> object:
            request = ChatRequest(
                conversation=conversation, seed=seed, temperature=0.7, top_p=0.9, max_tokens=256
            )
            return await backend.complete(request)

        yield ask


@asynccontextmanager
async def _through_create(server: str, model: str) -> AsyncGenerator[Ask]:
    transport = openai.DefaultAioHttpClient(limits=httpx2.Limits(max_connections=0))
    async with openai.AsyncOpenAI(base_url=server, api_key="x", http_client=transport) as client:

        async def ask(seed: int) -> object:
            return await client.chat.completions.create(
                model=model,
                messages=[
                    {"role": "system", "content": _MESSAGES[0].content},
                    {"role": "user", "content": _MESSAGES[1].content},
                ],
                seed=seed,
                temperature=0.7,
                top_p=0.9,
                max_tokens=256,
            )

        yield ask


async def _cpu_ms(ask: Ask, *, n_requests: int, n_at_once: int) -> float:
    """Return CPU milliseconds of one request, the first one (imports, connecting) left out."""
    await ask(0)
    seeds = iter(range(n_requests))

    async def lane() -> None:
        for seed in seeds:
            await ask(seed)

    began = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(n_at_once):
            group.create_task(lane())
    return (time.process_time() - began) / n_requests * 1e3


async def _measure(server: str, model: str, n_requests: int) -> None:
    ways = {"engine": _through_engine, "create()": _through_create}
    print("concurrency  way       CPU ms/request")
    for n_at_once in (32, 1000):
        for name, way in ways.items():
            async with way(server, model) as ask:
                cost = await _cpu_ms(ask, n_requests=n_requests, n_at_once=n_at_once)
            print(f"{n_at_once:>11}  {name:<8}  {cost:.3f}")


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="base URL, up to /v1")
    parser.add_argument("--model", default="mock", help="what the server calls the model")
    parser.add_argument("--requests", type=int, default=3000, help="of each measurement")
    given = parser.parse_args()
    asyncio.run(_measure(given.server, given.model, given.requests))


if __name__ == "__main__":
    _main()
