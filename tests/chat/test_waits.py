"""Waits that end once what follows them is refused."""

import asyncio

import pytest

from engine.chat.waits import Waits
from engine.drain import Drain
from engine.errors import DrainedError


async def for_ever(_pause_s: float) -> None:
    await asyncio.Event().wait()


async def test_a_wait_ends_with_what_its_check_raises() -> None:
    drain, waits = Drain(), Waits(for_ever)
    drain.listen(waits.recheck)
    asyncio.get_running_loop().call_soon(drain.begin, "enough")
    with pytest.raises(DrainedError, match="enough"):
        await waits.pause(600.0, drain.check)


async def test_what_is_refused_by_now_is_not_waited_for() -> None:
    drain, waits = Drain(), Waits(for_ever)
    drain.begin("enough")
    with pytest.raises(DrainedError):
        await waits.pause(600.0, drain.check)


async def test_a_wait_that_may_go_on_goes_on() -> None:
    waits = Waits()
    asyncio.get_running_loop().call_soon(waits.recheck)
    await waits.pause(0.001, Drain().check)


async def test_a_wait_that_is_ending_can_be_checked_again(caplog: pytest.LogCaptureFixture) -> None:
    drain, waits, loop = Drain(), Waits(for_ever), asyncio.get_running_loop()
    drain.listen(waits.recheck)

    def begin() -> None:
        drain.begin("enough")
        loop.call_soon(waits.recheck)

    loop.call_soon(begin)
    with pytest.raises(DrainedError):
        await waits.pause(600.0, drain.check)
    assert not caplog.records, "what a callback raises is logged"


async def test_the_callers_own_deadline_is_no_refusal() -> None:
    waits = Waits(for_ever)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await waits.pause(600.0, Drain().check)
