"""Transcripts follow from a journal that is whole; one that is not is refused by name."""

from pathlib import Path

import msgspec
import pytest

from engine.errors import UsageError
from engine.events import AnyEvent, CompletionReceived, Event, ExperimentStarted
from engine.events import InvestigationStarted as Started
from engine.fold import transcripts
from engine.journal import read_events
from tests.report.making import Said, make_run


@pytest.fixture
def events(tmp_path: Path) -> list[AnyEvent]:
    make_run(tmp_path / "run", lambda _: [Said(), Said()], replicates=1)
    return list(read_events(tmp_path / "run" / "events.jsonl"))


@pytest.mark.parametrize("kind", [Started, ExperimentStarted, CompletionReceived])
def test_an_event_without_the_one_that_it_depends_on_is_refused(
    events: list[AnyEvent], kind: type[Event]
) -> None:
    """The last of its kind: what it is needed for is not found in one before."""
    events.remove([event for event in events if isinstance(event, kind)][-1])
    with pytest.raises(
        UsageError, match=rf"large\.comparison\.0 .* no {kind.__struct_config__.tag}"
    ):
        transcripts(events)


@pytest.mark.parametrize("field", ["investigation", "model", "phase"])
@pytest.mark.parametrize("name", ["../../escaped", "a\\b", "..", "", "a\0b", "a#b"])
def test_a_name_that_cannot_be_one_of_a_file_is_refused(field: str, name: str) -> None:
    start = Started(time=0, investigation="i", model="m", phase="p", replicate=0, seed=0)
    with pytest.raises(UsageError, match="is no name"):
        transcripts([msgspec.structs.replace(start, **{field: name})])
