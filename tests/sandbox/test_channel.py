"""The host's end of a worker's channel."""

import asyncio
import socket
import time

import pytest

from engine.sandbox.channel import Channel


def _send_and_be_busy(end: socket.socket) -> None:
    """Let a byte and the end of the time arrive in one round of the event loop."""
    end.send(b"x")
    time.sleep(0.1)


async def test_less_than_a_frame_that_arrives_as_the_time_ends_does_not_prolong_it() -> None:
    host_end, worker_end = socket.socketpair()
    channel = Channel(host_end)
    with worker_end:
        asyncio.get_running_loop().call_soon(_send_and_be_busy, worker_end)
        async with asyncio.timeout(60):
            with pytest.raises(TimeoutError):
                await channel.receive(0.05)
    channel.close()
