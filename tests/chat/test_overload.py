"""Servers that have too much to do and do not say for how long: refusals, and no answer in time."""

import asyncio
import math
from contextlib import suppress

import pytest

from engine.access import OPEN
from engine.chat.admission import Gate
from engine.chat.patience import Patience
from engine.chat.served import Served, open_backend
from engine.drain import Drain
from engine.errors import ChatError, DrainedError
from tests.chat.asking import Asking, Pauses, asking, make_endpoint, make_request
from tests.chat.dial import Dial, settle
from tests.faults.asks import Ask, Plan, always
from tests.faults.faults import Fault
from tests.faults.server import FaultyServer, serving

AT_ONCE = 8


def refuse(gate: Gate, dial: Dial, n_times: int) -> list[float]:
    """Refuse a request, and each time the first that may be sent then; return the pauses."""
    pauses_s: list[float] = []
    for _ in range(n_times):
        dial.now_s += gate.shut_s + 0.25
        gate.throttled(sent_s=dial.now_s, shut_s=0.0)
        pauses_s.append(gate.shut_s)
    return pauses_s


def test_refusals_that_follow_each_other_pause_longer_and_longer() -> None:
    dial = Dial()
    gate = Gate(clock=dial.clock)
    assert refuse(gate, dial, 8) == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_burst_of_refusals_is_one_in_the_row() -> None:
    dial = Dial()
    gate = Gate(clock=dial.clock)
    refuse(gate, dial, 2)
    for _ in range(50):
        gate.throttled(sent_s=0.1, shut_s=0.0)
    assert gate.shut_s == 1.0


def test_an_answer_ends_the_row_of_refusals() -> None:
    dial = Dial()
    gate = Gate(clock=dial.clock)
    refuse(gate, dial, 5)
    dial.now_s += gate.shut_s + 1
    gate.answered(sent_s=dial.now_s)
    assert refuse(gate, dial, 2) == [0.0, 1.0]


def test_an_answer_to_what_was_sent_before_the_last_refusal_does_not_end_the_row() -> None:
    dial = Dial()
    gate = Gate(clock=dial.clock)
    refuse(gate, dial, 3)
    gate.answered(sent_s=0.0)
    assert refuse(gate, dial, 1) == [4.0]


def test_the_pause_that_a_server_asks_for_is_not_prolonged() -> None:
    dial = Dial()
    gate = Gate(clock=dial.clock)
    refuse(gate, dial, 4)
    dial.now_s += gate.shut_s + 1
    gate.throttled(sent_s=dial.now_s, shut_s=0.5)
    assert gate.shut_s == 0.5


def once_a_minute(pauses: Pauses) -> Plan:
    """Refuse whatever comes within a minute of the last request that was answered."""
    free_at_s = -math.inf

    def plan(_ask: Ask) -> Fault:
        nonlocal free_at_s
        if pauses.clock() < free_at_s:
            return Fault.UNTIMED_RATE_LIMIT
        free_at_s = pauses.clock() + 60.0
        return Fault.NONE

    return plan


async def test_a_limit_per_minute_that_does_not_say_how_long_is_outlasted() -> None:
    pauses = Pauses()
    async with (
        serving(server=FaultyServer(plan=once_a_minute(pauses))) as server,
        open_backend(
            make_endpoint(server.url), access=OPEN, sleep=pauses.sleep, clock=pauses.clock
        ) as backend,
    ):
        seat = backend.seat()
        for turn in range(4):
            assert (await seat.complete(make_request(seed=turn))).text


async def test_a_pause_that_no_server_asked_for_is_left_when_the_run_drains() -> None:
    drain, dial = Drain(), Dial()
    async with (
        serving(server=FaultyServer()) as server,
        open_backend(
            make_endpoint(server.url), access=OPEN, sleep=dial.sleep, clock=dial.clock
        ) as backend,
    ):
        drain.listen(backend.recheck)
        refuse(backend.replicas[0].gate, dial, 3)
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(drained(backend, drain))
            await settle()
            drain.begin("enough")
        assert asked.result()
        assert not server.asks


async def drained(backend: Served, drain: Drain) -> bool:
    with pytest.raises(DrainedError):
        await backend.seat(drain.check).complete(make_request())
    return True


async def overwhelm(case: Asking) -> Gate:
    """Ask for `AT_ONCE` at once, all of it in vain; return the gate."""
    assert isinstance(case.backend, Served)

    async def ask(seed: int) -> None:
        with suppress(ChatError):
            await case.backend.complete(make_request(seed=seed))

    async with asyncio.TaskGroup() as group:
        for seed in range(AT_ONCE):
            group.create_task(ask(seed))
    return case.backend.replicas[0].gate


async def test_a_queue_in_which_requests_time_out_is_sent_half_as_many() -> None:
    patience = Patience(answer_s=0.3, attempts=1)
    async with asking(always(Fault.HANG), patience=patience) as case:
        gate = await overwhelm(case)
    assert gate.limit == AT_ONCE / 2


async def test_a_queue_in_which_requests_time_out_is_not_paused() -> None:
    patience = Patience(answer_s=0.3, attempts=1)
    async with asking(always(Fault.HANG), patience=patience) as case:
        gate = await overwhelm(case)
    assert gate.shut_s == 0


async def test_a_gateway_that_waits_in_vain_is_sent_fewer() -> None:
    async with asking(always(Fault.GATEWAY_TIMEOUT), patience=Patience(attempts=1)) as case:
        gate = await overwhelm(case)
    assert gate.limit < AT_ONCE


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.UNAVAILABLE])
async def test_a_server_that_is_away_is_sent_as_many_once_it_is_back(fault: Fault) -> None:
    async with asking(always(fault), patience=Patience(attempts=1)) as case:
        gate = await overwhelm(case)
    assert gate.limit == math.inf
