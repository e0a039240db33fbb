"""The misbehaving server as a process of its own."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def server_process(*options: str) -> AsyncGenerator[str]:
    """Start the server with `options`, yield its base URL, and end it."""
    argv = (sys.executable, "-m", "tests.faults.server", *options)
    process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE, cwd=_ROOT)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(120):
            line = await process.stdout.readline()
        assert line, "the server ended before it was ready"
        yield line.decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
