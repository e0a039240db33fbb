"""Many investigations: order, concurrency, isolation of failures."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import product
from types import MappingProxyType

from engine.drain import Drain
from engine.errors import (
    ChatError,
    DrainedError,
    InvestigationError,
    RunError,
    SandboxError,
    TrunkLostError,
)
from engine.events import Event, Fork, InvestigationEnded, InvestigationStarted
from engine.loop import Parts, investigate
from engine.transcript import Investigation, StopReason

_LOG = logging.getLogger(__name__)

PartsFor = Callable[[Investigation], Parts]
ForkOf = Callable[[str], Awaitable[Fork | None]]
"""Id -> what the investigation begins with, once that is there."""


async def _nothing(_investigation: str) -> None:
    """Every investigation is its own from the first turn on."""


def plan(
    *, models: Sequence[str], phases: Sequence[str], replicates: int, seed: int
) -> tuple[Investigation, ...]:
    """Return the investigations of a study, arms interleaved.

    All models and phases share the seed of a replicate, so that their runs are paired: as long as
    two conditions say the same, whatever chance decides is the same in both.
    """
    return tuple(
        Investigation(
            id=f"{model}.{phase}.{replicate}",
            model=model,
            phase=phase,
            replicate=replicate,
            seed=investigation_seed(seed, replicate),
        )
        for replicate, phase, model in product(range(replicates), phases, models)
    )


def investigation_seed(study_seed: int, replicate: int) -> int:
    """Return the seed of one replicate, below 2**31."""
    text = f"{study_seed}/{replicate}".encode()
    return int.from_bytes(blake2b(text, digest_size=4).digest()) >> 1


def spare_collections() -> None:
    """Leave what lives as long as the run out of garbage collections, and make these rarer.

    Worth 2 to 20 % of a request's CPU where a thousand are in flight: each holds a few hundred
    objects that live for seconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def conduct(
    cases: Iterable[Investigation],
    parts_for: PartsFor,
    *,
    concurrency: int,
    histories: Mapping[str, Sequence[Event]] = MappingProxyType({}),
    fork_of: ForkOf = _nothing,
    drain: Drain | None = None,
) -> dict[str, StopReason]:
    """Run all `cases`, at most `concurrency` at once for each model; return their ends by id.

    `histories`: what is recorded already of those that are taken up again, by id.
    `fork_of`: tells what a new one begins with; it may wait until that is there.
    `drain`: once it has begun, none is begun any more, and those that run stop at their next turn.
    Neither has an end then: both are left for another time.

    A failed investigation ends with a typed reason and never stops its siblings. The limit is
    per model, so that a slow model cannot keep a fast one waiting.

    Raises:
        RunError: the run itself cannot go on (events can no longer be recorded).
    """
    ends: dict[str, StopReason] = {}
    gates: dict[str, asyncio.Semaphore] = {}
    waiting: dict[str, asyncio.Task[None]] = {}

    async def one(case: Investigation) -> None:
        history = histories.get(case.id, ())
        fork = None if history else await _beginning(case, fork_of)
        async with gates.setdefault(case.model, asyncio.Semaphore(concurrency)):
            del waiting[case.id]
            with suppress(DrainedError):
                ends[case.id] = await _contained(case, parts_for(case), history, fork)

    def let_go() -> None:
        for task in waiting.values():
            task.cancel()

    try:
        async with asyncio.TaskGroup() as group:
            for case in cases:
                waiting[case.id] = group.create_task(one(case), name=case.id)
            (drain or Drain()).listen(let_go)
    except* RunError as errors:
        raise errors.exceptions[0] from errors
    return ends


async def _beginning(case: Investigation, fork_of: ForkOf) -> Fork | TrunkLostError | None:
    try:
        return await fork_of(case.id)
    except TrunkLostError as error:
        return error


async def _contained(
    case: Investigation,
    parts: Parts,
    history: Sequence[Event],
    fork: Fork | TrunkLostError | None,
) -> StopReason:
    """Run one investigation and record its end, whatever the end is.

    Raises:
        DrainedError: it has none; it was stopped at a turn boundary.
    """
    reason, detail = await _outcome(case, parts, history, fork)
    parts.record.append(
        InvestigationEnded(
            time=parts.clock(), investigation=case.id, stop_reason=reason, detail=detail
        )
    )
    await parts.record.commit()
    return reason


async def _outcome(
    case: Investigation,
    parts: Parts,
    history: Sequence[Event],
    fork: Fork | TrunkLostError | None,
) -> tuple[StopReason, str]:
    if isinstance(fork, TrunkLostError):
        parts.record.append(started(case, parts.clock()))
        return _reason(fork), str(fork)
    if not history:
        start = started(case, parts.clock(), fork)
        parts.record.append(start)
        history = (start,) if fork else ()
    try:
        return await investigate(case, parts, history), ""
    except InvestigationError as error:
        return _reason(error), str(error)
    except (RunError, DrainedError):
        raise
    except Exception as error:  # noqa: BLE001 - the recorded boundary of one investigation
        _LOG.exception("investigation %s", case.id)
        return StopReason.FAULT, f"{type(error).__name__}: {error}"


def started(case: Investigation, time: float, fork: Fork | None = None) -> InvestigationStarted:
    """Return the event that begins `case`."""
    return InvestigationStarted(
        time=time,
        investigation=case.id,
        model=case.model,
        phase=case.phase,
        replicate=case.replicate,
        seed=case.seed,
        stream=case.stream,
        fork=fork,
    )


def _reason(error: InvestigationError) -> StopReason:
    match error:
        case SandboxError():
            return StopReason.SANDBOX_LOST
        case ChatError(is_transient=False, status=int()):
            return StopReason.REJECTED
        case _:
            return StopReason.SERVER_LOST
