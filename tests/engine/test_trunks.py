"""What is kept of investigations that others branch off, and for how long."""

import sys

import pytest

from engine.branch import Branch
from engine.events import (
    CompletionReceived,
    Event,
    ExperimentEnded,
    ExperimentStarted,
    InvestigationEnded,
)
from engine.transcript import Completion, StopReason, Usage
from engine.trunks import Trunks

TRUNK, FIRST, SECOND = "a.1a.0", "a.1c.0", "a.1d.0"
BEGUN = ExperimentStarted(time=0, investigation=TRUNK, experiment="one", messages=())
ENDED = ExperimentEnded(
    time=1, investigation=TRUNK, experiment="one", stop_reason=StopReason.COMPLETED
)
OVER = InvestigationEnded(time=2, investigation=TRUNK, stop_reason=StopReason.COMPLETED)


def a_completion() -> CompletionReceived:
    completion = Completion(text="", finish_reason="stop", usage=Usage(), sent=0, received=1)
    return CompletionReceived(
        time=1, investigation=TRUNK, experiment="two", turn=9, seed=9, completion=completion
    )


def is_kept(trunks: Trunks, event: Event) -> bool:
    """Tell whether `trunks` holds on to an event that it hears."""
    n_before = sys.getrefcount(event)
    trunks.hear(event)
    return sys.getrefcount(event) > n_before


def reached(branches: dict[str, Branch]) -> Trunks:
    """Make what serves `branches`, after the first experiment of their trunk."""
    trunks = Trunks(branches)
    for event in (BEGUN, ENDED):
        trunks.hear(event)
    return trunks


async def test_a_branch_begins_with_what_it_shares() -> None:
    fork = await reached({FIRST: Branch(TRUNK, 1)}).fork(FIRST)
    assert fork is not None
    assert fork.events == (BEGUN, ENDED)


@pytest.mark.parametrize(("n_experiments", "kept"), [(1, False), (2, True)])
async def test_a_trunk_is_kept_until_its_last_branch_is_reached(
    n_experiments: int,
    kept: bool,  # noqa: FBT001 - a case of the table
) -> None:
    trunks = reached({FIRST: Branch(TRUNK, 1), SECOND: Branch(TRUNK, n_experiments)})
    assert is_kept(trunks, a_completion()) is kept


async def test_of_a_trunk_that_is_over_nothing_more_is_kept() -> None:
    trunks = reached({FIRST: Branch(TRUNK, 5)})
    trunks.hear(OVER)
    assert not is_kept(trunks, a_completion())


async def test_a_trunk_that_is_over_when_its_run_is_taken_up_is_not_kept() -> None:
    trunks = Trunks({FIRST: Branch(TRUNK, 1)}, {TRUNK: (BEGUN, ENDED, OVER)})
    assert not is_kept(trunks, a_completion())
    assert await trunks.fork(FIRST) is not None
