"""How long and how often a backend asks: frozen limits, and the one retry policy on them."""

import random
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
import tenacity

from engine.errors import ChatError

Clock = Callable[[], float]
"""Seconds, only going forward."""
Sleep = Callable[[float], Awaitable[None]]
Notice = Callable[[ChatError, float], None]
"""Told of each failed attempt that will be repeated, and of the seconds until then."""


_AWAY = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one request. The caller's own deadline comes on top and always wins."""

    connect_s: float = 10.0
    """Longest time to reach the server."""
    answer_s: float = 600.0
    """Longest time of one attempt from the request to the last byte: a hang and a drip end here."""
    attempts: int = 8
    """How often one request is sent at most, the first time included."""
    first_wait_s: float = 0.5
    """Pause after the first failure; it doubles with every further one."""
    longest_wait_s: float = 30.0
    """Where the doubling ends."""
    longest_retry_after_s: float = 120.0
    """A server that asks for a longer pause than this is given up at once."""
    away_s: float = 0.0
    """A server is asked until it has been away for as long as this, and `attempts` times at least;
    later requests do not wait for it once more."""


def is_away(error: ChatError) -> bool:
    """Tell whether there was no server to answer, or a gateway or the server itself says so."""
    return error.is_transient and (error.status is None or error.status in _AWAY)


def policy(
    patience: Patience, *, sleep: Sleep, notice: Notice, absence_s: Callable[[], float]
) -> tenacity.AsyncRetrying:
    """Return the retry policy: transient trouble only, Retry-After honoured, attempts bounded.

    `absence_s` tells for how many seconds the server has been away.
    """

    def is_waited_for(error: ChatError) -> bool:
        return is_away(error) and absence_s() < patience.away_s

    def pause_s(state: tenacity.RetryCallState) -> float:
        return _pause_s(patience, _error_of(state), state.attempt_number)

    def is_over(state: tenacity.RetryCallState) -> bool:
        error = _error_of(state)
        if (error.retry_after_s or 0.0) > patience.longest_retry_after_s:
            return True
        return state.attempt_number >= patience.attempts and not is_waited_for(error)

    def tell(state: tenacity.RetryCallState) -> None:
        notice(_error_of(state), state.upcoming_sleep)

    return tenacity.AsyncRetrying(
        sleep=sleep,
        retry=tenacity.retry_if_exception(_is_transient),
        stop=is_over,
        wait=pause_s,
        before_sleep=tell,
        retry_error_callback=_give_up,
        reraise=True,
    )


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, ChatError) and error.is_transient


def _error_of(state: tenacity.RetryCallState) -> ChatError:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, ChatError)
    return error


def _give_up(state: tenacity.RetryCallState) -> None:
    error = _error_of(state)
    times = "once" if state.attempt_number == 1 else f"{state.attempt_number} times"
    raise ChatError(
        f"{error} (asked {times})",
        status=error.status,
        is_transient=True,
        retry_after_s=error.retry_after_s,
    ) from error


def _pause_s(patience: Patience, error: ChatError, attempt: int) -> float:
    """Return what the server asked for, and at least the ordinary pause: "in 0 s" is no pause.

    The returns are spread: a thousand investigations told "in 1 s" must not all come at once.
    """
    spread = random.random()  # noqa: S311 - no secret depends on it
    asked_s = (error.retry_after_s or 0.0) * (1.0 + 0.25 * spread)
    doubled_s = patience.first_wait_s * 2.0 ** (attempt - 1)
    return max(asked_s, min(doubled_s, patience.longest_wait_s) * (0.5 + 0.5 * spread))
