"""Many investigations: order, concurrency, isolation of failures."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import product
from types import MappingProxyType

from engine.errors import ChatError, InvestigationError, RunError, SandboxError
from engine.events import Event, InvestigationEnded, InvestigationStarted
from engine.loop import Parts, investigate
from engine.transcript import Investigation, StopReason

_LOG = logging.getLogger(__name__)

PartsFor = Callable[[Investigation], Parts]


def plan(
    *, models: Sequence[str], phases: Sequence[str], replicates: int, seed: int
) -> tuple[Investigation, ...]:
    """Return the investigations of a study, arms interleaved.

    All models share the seed of a phase and replicate, so that their runs are paired.
    """
    return tuple(
        Investigation(
            id=f"{model}.{phase}.{replicate}",
            model=model,
            phase=phase,
            replicate=replicate,
            seed=investigation_seed(seed, phase, replicate),
        )
        for replicate, phase, model in product(range(replicates), phases, models)
    )


def investigation_seed(study_seed: int, phase: str, replicate: int) -> int:
    """Return the seed of one phase and replicate, below 2**31."""
    text = f"{study_seed}/{phase}/{replicate}".encode()
    return int.from_bytes(blake2b(text, digest_size=4).digest()) >> 1


async def conduct(
    cases: Iterable[Investigation],
    parts_for: PartsFor,
    *,
    concurrency: int,
    histories: Mapping[str, Sequence[Event]] = MappingProxyType({}),
) -> dict[str, StopReason]:
    """Run all `cases`, at most `concurrency` at once for each model; return their ends by id.

    `histories`: what is recorded already of those that are taken up again, by id.

    A failed investigation ends with a typed reason and never stops its siblings. The limit is
    per model, so that a slow model cannot keep a fast one waiting.

    Raises:
        RunError: the run itself cannot go on (events can no longer be recorded).
    """
    ends: dict[str, StopReason] = {}
    gates: dict[str, asyncio.Semaphore] = {}

    async def one(case: Investigation) -> None:
        async with gates.setdefault(case.model, asyncio.Semaphore(concurrency)):
            history = histories.get(case.id, ())
            ends[case.id] = await _contained(case, parts_for(case), history)

    try:
        async with asyncio.TaskGroup() as group:
            for case in cases:
                group.create_task(one(case), name=case.id)
    except* RunError as errors:
        raise errors.exceptions[0] from errors
    return ends


async def _contained(case: Investigation, parts: Parts, history: Sequence[Event]) -> StopReason:
    """Run one investigation and record its end, whatever the end is."""
    if not history:
        parts.record.append(_started(case, parts.clock()))
    try:
        reason, detail = await investigate(case, parts, history), ""
    except InvestigationError as error:
        reason, detail = _reason(error), str(error)
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 - the recorded boundary of one investigation
        _LOG.exception("investigation %s", case.id)
        reason, detail = StopReason.FAULT, f"{type(error).__name__}: {error}"
    parts.record.append(
        InvestigationEnded(
            time=parts.clock(), investigation=case.id, stop_reason=reason, detail=detail
        )
    )
    await parts.record.commit()
    return reason


def _started(case: Investigation, time: float) -> InvestigationStarted:
    return InvestigationStarted(
        time=time,
        investigation=case.id,
        model=case.model,
        phase=case.phase,
        replicate=case.replicate,
        seed=case.seed,
    )


def _reason(error: InvestigationError) -> StopReason:
    match error:
        case SandboxError():
            return StopReason.SANDBOX_LOST
        case ChatError(is_transient=False, status=int()):
            return StopReason.REJECTED
        case _:
            return StopReason.SERVER_LOST
