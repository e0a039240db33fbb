"""Builders for the tests of the chat backends."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple

from engine.access import Access
from engine.chat import ChatBackend, ChatRequest
from engine.chat.patience import Patience
from engine.chat.served import open_backend
from engine.endpoint import Endpoint
from engine.errors import ChatError
from engine.transcript import Conversation, Message
from tests.faults.asks import PROPERLY, Plan
from tests.faults.server import FaultyServer, serving

KEY = "sk-test-0123456789"


def make_request(
    *texts: str, seed: int = 1, max_tokens: int = 200, temperature: float = 0.7
) -> ChatRequest:
    """Ask with `texts` as user and assistant messages in turn."""
    roles = ("user", "assistant")
    messages = [
        Message(role=roles[place % 2], content=text)
        for place, text in enumerate(texts or ("Look at your own layers.",))
    ]
    return ChatRequest(
        conversation=Conversation([Message("system", "You investigate yourself."), *messages]),
        seed=seed,
        temperature=temperature,
        top_p=0.9,
        max_tokens=max_tokens,
    )


def make_endpoint(
    url: str, *, served_model: str = "served-model", requests_per_s: float | None = None
) -> Endpoint:
    return Endpoint(
        model="small", url=url, served_model=served_model, requests_per_s=requests_per_s
    )


class Pauses:
    """A sleep that takes no time and remembers what it was asked for."""

    def __init__(self) -> None:
        self.taken_s: list[float] = []
        self.noticed: list[ChatError] = []

    async def sleep(self, pause_s: float) -> None:
        self.taken_s.append(pause_s)

    def clock(self) -> float:
        return time.monotonic() + sum(self.taken_s)

    def notice(self, error: ChatError, _pause_s: float) -> None:
        self.noticed.append(error)


class Asking(NamedTuple):
    """A backend and the server behind it."""

    backend: ChatBackend
    server: FaultyServer
    pauses: Pauses


@asynccontextmanager
async def asking(
    plan: Plan = PROPERLY,
    *,
    patience: Patience | None = None,
    key: str | None = KEY,
    wanted_key: str | None = None,
    requests_per_s: float | None = None,
) -> AsyncGenerator[Asking]:
    """Open a backend for a server that follows `plan`; it never really waits between attempts."""
    pauses = Pauses()
    async with serving(server=FaultyServer(plan=plan, key=wanted_key)) as server:
        endpoint = make_endpoint(server.url, requests_per_s=requests_per_s)
        async with open_backend(
            endpoint,
            access=Access(key=key),
            patience=patience,
            notice=pauses.notice,
            sleep=pauses.sleep,
            clock=pauses.clock,
        ) as backend:
            yield Asking(backend, server, pauses)
