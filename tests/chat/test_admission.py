"""How many requests are sent to a server at once, in which order, and to which replica."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.access import OPEN
from engine.chat import ChatBackend
from engine.chat.admission import Gate, limit_for
from engine.chat.load import Load
from engine.chat.patience import Patience
from engine.chat.replica import FIRST
from engine.chat.served import Served, open_backend
from engine.chat.waits import Waits
from engine.drain import Drain
from engine.errors import ChatError, DrainedError
from tests.chat.asking import Pauses, asking, make_endpoint, make_request
from tests.chat.dial import Dial, queueing, settle
from tests.faults.asks import Ask, always, at_first
from tests.faults.faults import Fault
from tests.faults.process import server_process
from tests.faults.server import FaultyServer, serving

COUNTS = st.integers(0, 2_000)


def a_load(n_running: int, n_waiting: int = 0, n_preempted: int = 0) -> Load:
    return Load(
        n_running=n_running,
        n_waiting=n_waiting,
        kv_share=0.5,
        generated_tokens=0,
        n_preempted=n_preempted,
        time_s=0.0,
    )


def test_a_short_queue_at_the_server_holds_nothing_back() -> None:
    assert limit_for(a_load(32, 4), None, n_in_flight=36, limit=100) == 100


def test_a_long_queue_at_the_server_is_moved_here() -> None:
    assert limit_for(a_load(32, 100), None, n_in_flight=132, limit=200) == 36


def test_requests_of_others_count_in_the_servers_queue() -> None:
    ours, running, waiting = 20, 32, 12
    assert limit_for(a_load(running, waiting), None, n_in_flight=ours, limit=200) == 32


def test_a_preemption_sends_fewer() -> None:
    before = a_load(50)
    assert limit_for(a_load(50, 0, 1), before, n_in_flight=50, limit=200) == 40


def test_a_server_without_a_queue_is_sent_more() -> None:
    assert limit_for(a_load(36), None, n_in_flight=36, limit=36) == 46


@given(COUNTS, COUNTS, COUNTS, st.floats(1, 2_000))
def test_the_server_never_waits_for_us(
    n_running: int, n_waiting: int, n_in_flight: int, limit: float
) -> None:
    found = limit_for(a_load(n_running, n_waiting), None, n_in_flight=n_in_flight, limit=limit)
    assert found >= min(limit, n_running)


async def take_turns(gate: Gate, ranks: list[int]) -> list[int]:
    """Let all `ranks` wait at a gate that lets one through at a time; return their order."""
    order: list[int] = []

    async def one(rank: int) -> None:
        async with gate.slot(rank):
            order.append(rank)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for rank in ranks:
            group.create_task(one(rank))
    return order


async def test_the_oldest_goes_first() -> None:
    gate = Gate()
    gate.limit = 1
    assert await take_turns(gate, [9, 3, 7, 1]) == [9, 1, 3, 7]


async def test_one_that_gives_up_waiting_costs_no_place() -> None:
    gate = Gate()
    gate.limit = 1
    async with gate.slot(0), asyncio.TaskGroup() as group:
        task = group.create_task(take_turns(gate, [1]))
        await asyncio.sleep(0)
        task.cancel()
    assert (gate.n_in_flight, gate.n_waiting) == (0, 0)
    assert await take_turns(gate, [2]) == [2]


async def test_a_burst_of_refusals_is_one_cut() -> None:
    gate = Gate()
    gate.n_in_flight = 100
    sent_s = asyncio.get_running_loop().time()
    for _ in range(50):
        gate.throttled(sent_s, 0.0)
    assert gate.limit == pytest.approx(70)


async def test_answers_let_the_limit_grow_again() -> None:
    gate = Gate()
    gate.limit = 10
    gate.throttled(0.0, 0.0)
    gate.limit = 10
    for _ in range(10):
        gate.answered(sent_s=0.0)
    assert 10.9 < gate.limit < 11


async def test_what_queues_is_not_sent_while_the_server_wants_a_pause() -> None:
    dial = Dial()
    gate = Gate(limit=1, clock=dial.clock, waits=Waits(dial.sleep))
    await gate.enter(0)
    async with queueing(gate, 1, 2) as let_in:
        gate.throttled(0.0, 60.0)
        gate.leave()
        await settle()
        assert not let_in


async def test_after_the_pause_the_oldest_is_sent_first() -> None:
    dial = Dial()
    gate = Gate(limit=1, clock=dial.clock, waits=Waits(dial.sleep))
    gate.throttled(0.0, 60.0)
    async with queueing(gate, 3, 1, 2) as let_in:
        dial.now_s = 60.0
        await settle()
        assert let_in == [1]


async def test_a_pause_that_is_prolonged_lasts_as_long_as_the_server_said_last() -> None:
    dial = Dial()
    gate = Gate(clock=dial.clock, waits=Waits(dial.sleep))
    gate.throttled(0.0, 60.0)
    async with queueing(gate, 1) as let_in:
        gate.throttled(0.0, 90.0)
        dial.now_s = 60.0
        await settle()
        assert not let_in
        dial.now_s = 90.0
        await settle()
        assert let_in == [1]


class Tickets:
    """A cap on request starts: one for every ticket that a test hands out."""

    def __init__(self) -> None:
        self.n_asking = 0
        self.handed_out = asyncio.Semaphore(0)

    async def pace(self) -> None:
        self.n_asking += 1
        await self.handed_out.acquire()
        self.n_asking -= 1


async def test_only_one_request_at_a_time_asks_whether_it_may_be_begun() -> None:
    tickets = Tickets()
    async with queueing(Gate(pace=tickets.pace), *range(60)):
        assert tickets.n_asking == 1


async def test_the_oldest_is_begun_first_whoever_came_before_it() -> None:
    tickets = Tickets()
    async with queueing(Gate(pace=tickets.pace), 102, 101, 1) as let_in:
        tickets.handed_out.release()
        await settle()
        assert let_in == [1]


class Limited(FaultyServer):
    """Refuses what is more than it can take at once, as a remote endpoint does."""

    most: int = 8
    n_refused: int = 0


def at_most(server: Limited) -> Limited:
    def plan(_ask: Ask) -> Fault:
        if server.n_in_flight > server.most:
            server.n_refused += 1
            return Fault.RATE_LIMIT
        return Fault.NONE

    server.plan = plan
    return server


async def test_a_remote_limit_is_found_and_kept() -> None:
    server = at_most(Limited(latency_s=0.01))
    pauses = Pauses()
    async with (
        serving(server=server),
        open_backend(
            make_endpoint(server.url),
            access=OPEN,
            patience=Patience(attempts=100),
            sleep=pauses.sleep,
            clock=pauses.clock,
        ) as backend,
        asyncio.TaskGroup() as group,
    ):
        gate = backend.replicas[0].gate
        gate.limit = FIRST
        for seed in range(400):
            group.create_task(backend.complete(make_request(seed=seed)))
    assert len(server.asks) == 400 + server.n_refused
    assert server.n_refused < 150, "most were refused: the limit was not found"


async def test_the_queue_of_a_local_server_is_kept_short() -> None:
    server = FaultyServer(latency_s=0.1, slots=4, may_answer=asyncio.Event())
    async with (
        serving(server=server),
        open_backend(make_endpoint(server.url), access=OPEN) as backend,
        asyncio.TaskGroup() as group,
    ):
        gate = backend.replicas[0].gate
        for _ in range(40):
            group.create_task(ask_turns(backend.seat(), 4))
        await server.until_in_flight(40)
        assert server.may_answer is not None
        server.may_answer.set()
        async with asyncio.timeout(120):
            while server.n_in_flight > 8 or not gate.n_waiting:
                await asyncio.sleep(0.01)
    assert len(server.asks) == 160


@asynccontextmanager
async def two_replicas(first: FaultyServer, second: FaultyServer) -> AsyncGenerator[Served]:
    pauses = Pauses()
    async with serving(server=first), serving(server=second):
        endpoint = msgspec.structs.replace(make_endpoint(first.url), others=(second.url,))
        async with open_backend(
            endpoint, access=OPEN, sleep=pauses.sleep, clock=pauses.clock
        ) as backend:
            yield backend


async def ask_turns(seat: ChatBackend, n_turns: int) -> None:
    for turn in range(n_turns):
        await seat.complete(make_request(seed=turn))


async def test_an_investigation_stays_with_one_replica() -> None:
    first, second = FaultyServer(latency_s=0.02), FaultyServer(latency_s=0.02)
    async with two_replicas(first, second) as backend, asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(ask_turns(backend.seat(), 5))
    assert (len(first.asks), len(second.asks)) == (15, 15)


async def test_the_others_take_over_from_a_replica_that_is_away() -> None:
    first, second = FaultyServer(), FaultyServer()
    async with two_replicas(first, second) as backend:
        seat = backend.seat()
        await seat.complete(make_request())
        assert len(first.asks) == 1
        first.plan = at_first(*[Fault.UNAVAILABLE] * 99)
        await ask_turns(seat, 4)
    assert len(second.asks) == 4


async def test_the_others_take_over_from_a_replica_that_wants_a_long_pause() -> None:
    first, second = FaultyServer(), FaultyServer()
    async with two_replicas(first, second) as backend:
        seat = backend.seat()
        await seat.complete(make_request())
        first.plan = always(Fault.RATE_LIMIT)
        await ask_turns(seat, 3)
        await backend.seat().complete(make_request())
    assert (len(first.asks), len(second.asks)) == (2, 4)


async def test_a_short_pause_is_waited_out_where_the_prefix_is() -> None:
    first, second = FaultyServer(plan=at_first(Fault.BRIEF_RATE_LIMIT)), FaultyServer()
    async with two_replicas(first, second) as backend:
        await ask_turns(backend.seat(), 3)
    assert (len(first.asks), len(second.asks)) == (6, 0)


async def test_an_investigation_stays_where_it_was_while_all_replicas_want_a_pause() -> None:
    first, second = FaultyServer(), FaultyServer()
    async with two_replicas(first, second) as backend:
        near, far = backend.replicas
        far.gate.throttled(sent_s=0.0, shut_s=60.0)
        near.gate.throttled(sent_s=0.0, shut_s=50.0)
        assert backend.choose(near) is near
        assert backend.choose(far) is far


async def test_a_replica_whose_process_dies_is_replaced() -> None:
    pauses = Pauses()
    async with server_process() as staying:
        async with server_process() as dying:
            endpoint = msgspec.structs.replace(make_endpoint(dying), others=(staying,))
            opening = open_backend(endpoint, access=OPEN, sleep=pauses.sleep, clock=pauses.clock)
            backend = await opening.__aenter__()
            seat = backend.seat()
            await seat.complete(make_request())
        try:
            assert (await seat.complete(make_request())).text
        finally:
            await opening.__aexit__(None, None, None)


async def test_a_refusal_by_one_replica_is_no_reason_to_ask_another() -> None:
    first, second = FaultyServer(key="other"), FaultyServer()
    async with two_replicas(first, second) as backend:
        with pytest.raises(ChatError):
            await backend.seat().complete(make_request())
    assert not second.asks


async def test_what_waits_at_the_gate_is_not_sent_once_the_run_drains() -> None:
    drain = Drain()
    async with asking() as case:
        assert isinstance(case.backend, Served)
        seat = case.backend.seat(drain.check)
        drain.begin("enough")
        with pytest.raises(DrainedError):
            await seat.complete(make_request())
        assert not case.server.asks


async def test_no_request_is_held_back_longer_than_the_patience_allows() -> None:
    patience = Patience(longest_retry_after_s=5.0)
    async with asking(always(Fault.RATE_LIMIT), patience=patience) as case:
        for _ in range(2):
            with pytest.raises(ChatError):
                await case.backend.complete(make_request())
    assert len(case.server.asks) == 2
    assert max(case.pauses.taken_s) <= 5.0


@asynccontextmanager
async def pausing(drain: Drain, **limits: int) -> AsyncGenerator[tuple[Served, ChatBackend]]:
    """Open a backend that is told to pause and does, and a seat there; both hear `drain`."""
    dial = Dial()
    async with (
        serving(server=FaultyServer(plan=always(Fault.RATE_LIMIT))) as server,
        open_backend(
            make_endpoint(server.url),
            access=OPEN,
            patience=Patience(**limits),
            sleep=dial.sleep,
            clock=dial.clock,
        ) as backend,
    ):
        drain.listen(backend.recheck)
        yield backend, backend.seat(drain.check)
        assert len(server.asks) == 1


async def test_what_waits_out_the_pause_of_the_server_gives_up_when_the_run_drains() -> None:
    drain = Drain()
    async with pausing(drain, attempts=1) as (backend, seat):
        with pytest.raises(ChatError):
            await backend.complete(make_request())
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(failure(seat))
            await settle()
            drain.begin("enough")
        assert isinstance(asked.result(), DrainedError)
        assert (backend.replicas[0].gate.n_in_flight, backend.replicas[0].gate.n_waiting) == (0, 0)


async def test_what_is_to_be_sent_again_is_given_up_when_the_run_drains() -> None:
    drain = Drain()
    async with pausing(drain) as (backend, seat), asyncio.TaskGroup() as group:
        asked = group.create_task(failure(seat))
        while backend.replicas[0].gate.limit == math.inf:
            await asyncio.sleep(0)
        drain.begin("enough")
    assert isinstance(asked.result(), DrainedError)


async def failure(seat: ChatBackend) -> Exception:
    """Return what one request ends with."""
    with pytest.raises((ChatError, DrainedError)) as caught:
        await seat.complete(make_request())
    return caught.value
