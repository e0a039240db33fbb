"""How long a server is waited for that is away, such as one that is being started again."""

from contextlib import AsyncExitStack

import pytest

from engine.access import OPEN
from engine.chat.patience import Patience
from engine.chat.served import open_backend
from engine.cli.ready import patience_with
from engine.cli.serving.given import given
from engine.errors import ChatError
from tests.chat.asking import Pauses, asking, make_endpoint, make_request
from tests.faults.asks import always, at_first
from tests.faults.faults import Fault
from tests.faults.server import FaultyServer, held_port, serving

PATIENT = Patience(attempts=2, away_s=300.0)


class Starting(Pauses):
    """Pauses in which a server is started, and is there once they took `start_s` together."""

    def __init__(self, stack: AsyncExitStack, *, port: int, start_s: float) -> None:
        super().__init__()
        self._stack = stack
        self._port = port
        self._start_s = start_s
        self.server: FaultyServer | None = None

    async def sleep(self, pause_s: float) -> None:
        await super().sleep(pause_s)
        if self.server is None and sum(self.taken_s) >= self._start_s:
            self.server = await self._stack.enter_async_context(serving(port=self._port))


async def test_a_server_that_is_started_again_is_waited_for_beyond_all_attempts() -> None:
    async with AsyncExitStack() as stack:
        port = stack.enter_context(held_port())
        pauses = Starting(stack, port=port, start_s=200.0)
        backend = await stack.enter_async_context(
            open_backend(
                make_endpoint(f"http://127.0.0.1:{port}/v1"),
                access=OPEN,
                patience=PATIENT,
                sleep=pauses.sleep,
                clock=pauses.clock,
            )
        )
        assert (await backend.complete(make_request())).text


async def test_a_server_that_stays_away_is_given_up() -> None:
    async with asking(always(Fault.UNAVAILABLE), patience=PATIENT) as case:
        with pytest.raises(ChatError, match="HTTP 503"):
            await case.backend.complete(make_request())
    assert 200.0 < sum(case.pauses.taken_s) < PATIENT.away_s + PATIENT.longest_wait_s


async def test_a_server_that_was_given_up_is_not_waited_for_once_more() -> None:
    async with asking(always(Fault.UNAVAILABLE), patience=PATIENT) as case:
        with pytest.raises(ChatError):
            await case.backend.complete(make_request())
        with pytest.raises(ChatError, match="asked 2 times"):
            await case.backend.complete(make_request(seed=2))


async def test_a_server_that_came_back_is_waited_for_again() -> None:
    seconds = PATIENT.away_s * 2
    async with asking(at_first(Fault.UNAVAILABLE), patience=PATIENT) as case:
        await case.backend.complete(make_request())
        await case.pauses.sleep(seconds)
        case.server.plan = at_first(*[Fault.UNAVAILABLE] * 6)
        assert (await case.backend.complete(make_request(seed=2))).text


async def test_a_server_that_is_away_for_a_moment_is_asked_as_often_as_any() -> None:
    patience = Patience(attempts=4, away_s=0.001)
    async with asking(always(Fault.UNAVAILABLE), patience=patience) as case:
        with pytest.raises(ChatError, match="asked 4 times"):
            await case.backend.complete(make_request())


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.UNTIMED_RATE_LIMIT, Fault.HTML])
async def test_a_server_that_is_there_and_fails_is_asked_no_more_often(fault: Fault) -> None:
    async with asking(always(fault), patience=PATIENT) as case:
        with pytest.raises(ChatError):
            await case.backend.complete(make_request())
    assert len(case.server.asks) == PATIENT.attempts


def test_only_a_server_that_is_ours_is_waited_for_while_it_is_started_again() -> None:
    endpoint = make_endpoint("http://127.0.0.1:9/v1")
    serving_of_the_user = given([endpoint], ())
    assert patience_with(serving_of_the_user, "small") == Patience()
    assert patience_with(serving_of_the_user, "another").away_s >= 60.0
