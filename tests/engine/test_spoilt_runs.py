"""Five hundred investigations at once, against a server process that spoils one answer in ten."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from engine.access import OPEN
from engine.chat.patience import Patience
from engine.chat.served import open_backend
from engine.compare.measures import measure, summarise
from engine.endpoint import Endpoint
from engine.fold import transcripts
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.journal import open_journal, read_events
from engine.loop import Parts
from engine.runner import conduct, plan
from engine.sandbox import Limits
from engine.sandbox.host import open_sandbox
from engine.transcript import Investigation, StopReason
from tests.engine.investigating import a_phase
from tests.faults.faults import Fault
from tests.faults.process import server_process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

N = 500
MIX = {
    Fault.RATE_LIMIT: 0.002,
    Fault.SERVER_ERROR: 0.02,
    Fault.UNAVAILABLE: 0.01,
    Fault.RESET: 0.02,
    Fault.RESET_MIDWAY: 0.01,
    Fault.HANG: 0.005,
    Fault.INVALID_JSON: 0.01,
    Fault.HTML: 0.005,
    Fault.NULL_CONTENT: 0.003,
    Fault.CUT: 0.005,
    Fault.WRONG_KEY: 0.005,
    Fault.OVERFLOW_VLLM: 0.005,
}
TYPED = {
    StopReason.COMPLETED,
    StopReason.NO_CODE,
    StopReason.STUCK,
    StopReason.TURN_LIMIT,
    StopReason.CONTEXT_FULL,
    StopReason.REJECTED,
    StopReason.SERVER_LOST,
}


async def spoilt_run(journal_path: Path) -> dict[str, StopReason]:
    mix = ",".join(f"{fault}:{share}" for fault, share in MIX.items())
    cases = plan(models=["a"], phases=["comparison"], replicates=N, seed=1)
    async with (
        server_process("--mix", mix, "--steps", "--window-tokens", "32768") as url,
        open_sandbox(Limits()) as sandbox,
        open_backend(
            Endpoint(model="a", url=url, served_model="served-model"),
            access=OPEN,
            patience=Patience(answer_s=20.0),
        ) as backend,
    ):
        with open_journal(journal_path) as journal:

            def parts_for(_case: Investigation) -> Parts:
                return Parts(
                    phase=a_phase(),
                    chat=backend.seat(),
                    sandbox=sandbox,
                    powers=CapabilityTable(["memory"], subject=Subject()),
                    record=journal,
                )

            async with asyncio.timeout(1700):
                return await conduct(cases, parts_for, concurrency=N)


async def test_every_investigation_ends_typed_and_no_fault_is_counted_as_the_models(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.jsonl"
    ends = await spoilt_run(path)
    found = Counter(ends.values())
    assert len(ends) == N
    assert set(found) <= TYPED, found
    assert found[StopReason.REJECTED], "the mix held faults that no retry mends"
    assert found[StopReason.COMPLETED] > 0.9 * N, found
    measures = [measure(transcript) for transcript in transcripts(read_events(path))]
    n_lost = sum(reason.is_infrastructure for reason in ends.values())
    arm = summarise("a", measures)
    assert arm.excluded == n_lost
    assert arm.turns == sum(each.turns for each in measures if not each.is_infrastructure)
