"""History is a matter of one investigation, rebuilt on a resume without asking a probe again."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from engine.errors import CapabilityError, InvestigationError
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.history import History
from engine.introspection.probe import Question
from engine.introspection.safetensors import Floats
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.transcript import Call, ExecutionError
from tests.introspection.drawn import DrawnProbe

GRANTED = ("history",)


class OverflowingProbe(DrawnProbe):
    """One text has activations beyond float32."""

    def ask(self, question: Question) -> tuple[object, Mapping[str, Floats]]:
        plain, arrays = super().ask(question)
        factor = np.float32(np.inf if "overflows" in question.text else 1)
        return plain, {name: array * factor for name, array in arrays.items()}


@pytest.fixture
def probe() -> DrawnProbe:
    return DrawnProbe()


@pytest.fixture
def drawn(checkpoint_dir: Path, probe: DrawnProbe) -> Subject:
    return Subject(open_checkpoint(checkpoint_dir), probe=probe)


async def told(table: CapabilityTable, name: str, **arguments: object) -> object:
    return await table.answer(f"history.{name}", arguments)


async def recorded(table: CapabilityTable, *texts: str) -> None:
    await told(table, "start_tracking")
    for text in texts:
        await told(table, "record_turn", text=text)


def calls(*named: tuple[str, Mapping[str, object]]) -> list[Call]:
    return [Call(method=f"history.{name}", arguments=dict(given)) for name, given in named]


async def test_what_one_investigation_records_no_other_sees(drawn: Subject) -> None:
    first, second = (CapabilityTable(GRANTED, subject=drawn) for _ in range(2))
    await recorded(first, "One.", "Two.")
    assert await told(second, "get_activation_history") == []
    with pytest.raises(CapabilityError, match="0 turns are recorded"):
        await told(second, "compare_to_previous")


async def test_a_turn_that_is_not_tracked_is_refused(drawn: Subject) -> None:
    table = CapabilityTable(GRANTED, subject=drawn)
    with pytest.raises(CapabilityError, match=r"history\.start_tracking\(\)"):
        await told(table, "record_turn", text="One.")
    await recorded(table, "One.")
    await told(table, "stop_tracking")
    with pytest.raises(CapabilityError, match=r"history\.start_tracking\(\)"):
        await told(table, "record_turn", text="Two.")


async def test_a_turn_that_cannot_be_run_is_not_recorded(drawn: Subject) -> None:
    table = CapabilityTable(GRANTED, subject=drawn)
    await told(table, "start_tracking")
    with pytest.raises(CapabilityError, match="300 tokens"):
        await told(table, "record_turn", text="word " * 300)
    assert await told(table, "get_activation_history") == []


async def test_a_resume_rebuilds_it_without_asking_the_probe(
    drawn: Subject, probe: DrawnProbe
) -> None:
    lived, revived = (CapabilityTable(GRANTED, subject=drawn) for _ in range(2))
    await recorded(lived, "One.", "Two and more.")
    n_asked = len(probe.asked)
    revived.restore(
        [
            *calls(
                ("start_tracking", {}),
                ("record_turn", {"text": "One."}),
                ("record_turn", {"text": "Two and more.", "label": ""}),
                ("get_tracking_status", {}),
            ),
            Call(
                method="history.record_turn",
                arguments={"text": "word " * 300},
                error=ExecutionError("ValueError", "too long"),
            ),
        ]
    )
    assert len(probe.asked) == n_asked
    for name in ("get_activation_history", "analyze_drift", "get_tracking_status"):
        assert await told(revived, name) == await told(lived, name)


async def test_drift_is_told_from_the_first_turn(drawn: Subject) -> None:
    table = CapabilityTable(GRANTED, subject=drawn)
    await recorded(table, "One.", "Two and more.", "One.")
    rows = await told(table, "analyze_drift")
    assert isinstance(rows, list)
    assert [row["name"] for row in rows] == [f"model.layers.{n}" for n in range(3)]
    for row in rows:
        first, second = row["from_first"]
        assert first > 0
        assert second == 0
        assert (row["largest"], row["is_growing"]) == (2, False)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # numpy's, of infinities
async def test_a_drift_that_is_not_finite_is_told_as_none(checkpoint_dir: Path) -> None:
    subject = Subject(open_checkpoint(checkpoint_dir), probe=OverflowingProbe())
    table = CapabilityTable(GRANTED, subject=subject)
    await recorded(table, "One.", "Two overflows.", "Two and more.")
    rows = await told(table, "analyze_drift")
    assert isinstance(rows, list)
    for row in rows:
        assert row["from_first"] == [None, row["from_first"][1]]
        assert (row["largest"], row["is_growing"]) == (3, True)


async def test_a_defect_of_an_awaited_answer_ends_the_investigation_by_name(
    drawn: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: History) -> list[dict[str, object]]:
        """Fail."""
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(History, "compare_to_previous", broken)
    table = CapabilityTable(GRANTED, subject=drawn)
    with pytest.raises(InvestigationError, match=r"introspection\.history\..*: by nought"):
        await told(table, "compare_to_previous")
