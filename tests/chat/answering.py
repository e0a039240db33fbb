"""Servers that are none of ours: one fixed answer, or no HTTP at all."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

DEADLINE_S = 120.0
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connected = Callable[[StreamReader, StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: web.Response | Answer) -> AsyncGenerator[str]:
    """Serve one answer to GET /v1/models and to chat, and llama.cpp's /props."""

    async def serve(request: web.Request) -> web.StreamResponse:
        return answer if isinstance(answer, web.Response) else await answer(request)

    async def props(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"default_generation_settings": {"n_ctx": 768}})

    app = web.Application()
    app.router.add_get("/v1/models", serve)
    app.router.add_post("/v1/chat/completions", serve)
    app.router.add_get("/props", props)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def listening(
    connected: Connected, *, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[str]:
    """Listen on a free port with something that is no HTTP server."""
    writers: set[StreamWriter] = set()
    gone = asyncio.Event()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        writers.add(writer)
        gone.clear()
        try:
            await connected(reader, writer)
        finally:
            writer.close()
            writers.discard(writer)
            if not writers:
                gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server, asyncio.timeout(DEADLINE_S):
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
        for writer in tuple(writers):
            writer.close()
        if writers:
            await gone.wait()
