"""An OpenAI-shaped server that misbehaves as told: in the test's own loop, or as a process.

async with serving(plan=at_first(Fault.RESET)) as server: ...  # server.url, server.asks
python -m tests.faults.server --mix reset:0.05,rate_limit:0.02    # prints its base URL
"""

import argparse
import asyncio
import socket
import ssl
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from tests.faults.asks import PROPERLY, Ask, Asked, Plan, ReplyOf, mixed, steps, words
from tests.faults.faults import CANNED, JSON, Fault

_BYTES_PER_TOKEN = 4
_LARGE_BYTES = 4_000_000


@dataclass(kw_only=True)
class FaultyServer:
    """What the server does, and what it saw."""

    plan: Plan = PROPERLY
    reply: ReplyOf = words
    window_tokens: int = 8192
    served: tuple[str, ...] = ("served-model",)
    key: str | None = None
    """The only key that is accepted; None accepts all."""
    lists_to_all: bool = False
    """GET /v1/models is answered without the key."""
    latency_s: float = 0.0
    may_answer: asyncio.Event | None = None
    """No answer is sent before it is set, but to the first `n_free` requests."""
    n_free: int = 0
    slots: int | None = None
    """Answered at once; the others wait, and /metrics tells of both. None: all, and no metrics."""
    url: str = ""
    asks: list[Ask] = field(default_factory=list[Ask])
    n_in_flight: int = 0
    runner: web.AppRunner | None = None
    listening: "Listening | None" = None
    _gate: asyncio.Semaphore = field(init=False)
    _seen: Counter[bytes] = field(default_factory=Counter[bytes])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._gate = asyncio.Semaphore(self.slots or 2**20)

    @property
    def n_connections(self) -> int:
        """Open connections, idle ones included."""
        return len(self.runner.server.connections) if self.runner and self.runner.server else 0

    async def until_in_flight(self, n_in_flight: int) -> None:
        """Return once exactly `n_in_flight` requests are being answered."""
        while self.n_in_flight != n_in_flight:
            await self._changed.wait()

    def _count(self, change: int) -> None:
        self.n_in_flight += change
        self._changed.set()
        self._changed = asyncio.Event()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answer one chat request as the plan says."""
        raw = await request.read()
        ask = Ask(
            body=msgspec.json.decode(raw, type=Asked),
            attempt=self._seen[raw],
            authorization=request.headers.get("Authorization"),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        self._seen[raw] += 1
        number = len(self.asks)
        self.asks.append(ask)
        self._count(1)
        try:
            async with self._gate:
                return await self._answer(request, ask, number)
        finally:
            self._count(-1)

    async def models(self, request: web.Request) -> web.StreamResponse:
        """List the served models as vLLM does."""
        if not (self.lists_to_all or self._is_allowed(request.headers.get("Authorization"))):
            return _canned(Fault.WRONG_KEY)
        entries = [{"id": name, "max_model_len": self.window_tokens} for name in self.served]
        return web.json_response({"object": "list", "data": entries})

    async def metrics(self, _request: web.Request) -> web.StreamResponse:
        """Tell running and waiting requests as vLLM does."""
        if self.slots is None:
            return _canned(Fault.WRONG_PATH)
        n_running = min(self.slots, self.n_in_flight)
        values = {
            "num_requests_running": n_running,
            "num_requests_waiting": self.n_in_flight - n_running,
            "kv_cache_usage_perc": n_running / self.slots,
        }
        lines = [f'vllm:{name}{{engine="0"}} {value}' for name, value in values.items()]
        return web.Response(text="\n".join(lines) + "\n")

    def hold(self, n_free: int) -> None:
        """Answer no more than `n_free` requests from now on."""
        self.may_answer, self.n_free = asyncio.Event(), len(self.asks) + n_free

    def release(self) -> None:
        """Answer all from now on."""
        if self.may_answer is not None:
            self.may_answer.set()
        self.may_answer = None

    async def _answer(self, request: web.Request, ask: Ask, number: int) -> web.StreamResponse:
        if self.may_answer is not None and number >= self.n_free:
            await self.may_answer.wait()
        await asyncio.sleep(self.latency_s)
        fault = self._fault_of(ask)
        if fault in CANNED:
            return _canned(fault)
        body = _completion(self, ask, fault)
        match fault:
            case Fault.HANG:
                await asyncio.Event().wait()
            case Fault.RESET:
                _abort(request)
            case Fault.RESET_MIDWAY:
                await _send_slowly(request, body[: len(body) // 2], pause_s=0.0, declared=body)
                _abort(request)
            case Fault.DRIP:
                return await _send_slowly(request, body, pause_s=0.05, declared=body)
            case Fault.ENDLESS:
                return await _send_endlessly(request)
            case _:
                pass
        return web.Response(body=body, content_type=JSON)

    def _fault_of(self, ask: Ask) -> Fault:
        if not self._is_allowed(ask.authorization):
            return Fault.WRONG_KEY
        if ask.body.model not in self.served:
            return Fault.WRONG_MODEL
        if _prompt_tokens(ask) + ask.body.max_tokens > self.window_tokens:
            return Fault.OVERFLOW_VLLM
        return self.plan(ask)

    def _is_allowed(self, authorization: str | None) -> bool:
        return self.key is None or authorization == f"Bearer {self.key}"


def _prompt_tokens(ask: Ask) -> int:
    return sum(len(message.content) for message in ask.body.messages) // _BYTES_PER_TOKEN + 1


def _completion(server: FaultyServer, ask: Ask, fault: Fault) -> bytes:
    text = server.reply(ask) if fault is not Fault.LARGE else "x" * _LARGE_BYTES
    given = text[: ask.body.max_tokens * _BYTES_PER_TOKEN] if fault is not Fault.LARGE else text
    is_cut = len(given) < len(text) or fault is Fault.CUT
    usage = {
        "prompt_tokens": _prompt_tokens(ask),
        "completion_tokens": -(-len(given) // _BYTES_PER_TOKEN),
        "prompt_tokens_details": {"cached_tokens": _prompt_tokens(ask) // 2},
    }
    message = {"role": "assistant", "content": None if fault is Fault.NULL_CONTENT else given}
    choice = {"index": 0, "message": message, "finish_reason": "length" if is_cut else "stop"}
    answer = {"choices": [choice], "usage": None if fault is Fault.NO_USAGE else usage}
    body = msgspec.json.encode(answer)
    return body.replace(b"reply", b"re\xffply", 1) if fault is Fault.INVALID_UTF8 else body


def _canned(fault: Fault) -> web.Response:
    canned = CANNED[fault]
    return web.Response(
        status=canned.status,
        text=canned.body,
        content_type=canned.content_type,
        headers=dict(canned.headers),
    )


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _send_slowly(
    request: web.Request, body: bytes, *, pause_s: float, declared: bytes
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": JSON, "Content-Length": str(len(declared))}
    )
    await response.prepare(request)
    for start in range(0, len(body), 16):
        await response.write(body[start : start + 16])
        await asyncio.sleep(pause_s)
    return response


async def _send_endlessly(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": JSON})
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(b" " * 2**20)
    return response


class Listening(socket.socket):
    """Where a server is connected to. Counts connections, also those over which nothing is said."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.n_accepted = 0
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.bind(("127.0.0.1", port))

    def accept(self) -> tuple[socket.socket, object]:
        accepted = super().accept()
        self.n_accepted += 1
        return accepted


@contextmanager
def held_port() -> Generator[int]:
    """Keep a port for servers of the block, one after another: nobody else is given it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        if sys.platform != "linux":
            holder.close()  # elsewhere nobody could listen beside it
        yield port


@asynccontextmanager
async def serving(
    *, port: int = 0, server: FaultyServer | None = None, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[FaultyServer]:
    """Run `server` on a free loopback port until the block ends; over TLS with a context."""
    server = server or FaultyServer()
    app = web.Application(client_max_size=2**30)
    app.router.add_post("/v1/chat/completions", server.complete)
    app.router.add_get("/v1/models", server.models)
    app.router.add_get("/metrics", server.metrics)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        listening = Listening(port)
        await web.SockSite(runner, listening, backlog=2048, ssl_context=tls).start()
        server.runner, server.listening = runner, listening
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


def _shares(text: str) -> dict[Fault, float]:
    pairs = [item.split(":") for item in text.split(",") if item]
    return {Fault(name): float(share) for name, share in pairs}


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--window-tokens", type=int, default=8192)
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--mix", type=_shares, default={}, help="fault:share,fault:share")
    parser.add_argument("--steps", action="store_true", help="reply like a small model")
    given = parser.parse_args()
    server = FaultyServer(
        plan=mixed(given.mix),
        reply=steps if given.steps else words,
        window_tokens=given.window_tokens,
        latency_s=given.latency_s,
    )
    async with serving(port=given.port, server=server):
        print(server.url, flush=True)  # noqa: T201 - how its parent learns the port
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main())
