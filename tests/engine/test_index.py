"""The index of a journal: derived from it, thrown away at will."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.events import (
    Compacted,
    CompletionReceived,
    Event,
    ExperimentStarted,
    InvestigationEnded,
    InvestigationResumed,
    InvestigationStarted,
    RunStarted,
    TurnEnded,
)
from engine.index import INDEX, Entry, Index, open_index
from engine.journal import open_journal, read_events
from engine.transcript import Completion, StopReason, Usage

REPLY = Completion(
    text="x",
    finish_reason="stop",
    usage=Usage(prompt_tokens=10, completion_tokens=2),
    sent=0,
    received=1,
)


def started(name: str) -> Event:
    return InvestigationStarted(
        time=0, investigation=name, model="a", phase="p", replicate=0, seed=1
    )


def turn(name: str) -> tuple[Event, ...]:
    return (
        ExperimentStarted(time=1, investigation=name, experiment="e", messages=()),
        CompletionReceived(
            time=1, investigation=name, experiment="e", turn=0, seed=1, completion=REPLY
        ),
        TurnEnded(
            time=2, investigation=name, turn=0, action="nothing", executions=(), observation=None
        ),
    )


def ended(name: str, reason: StopReason = StopReason.COMPLETED) -> Event:
    return InvestigationEnded(time=3, investigation=name, stop_reason=reason)


async def record(folder: Path, *events: Event) -> Path:
    with open_journal(folder / "events.jsonl") as journal:
        for event in events:
            journal.append(event)
    return folder


def entries(folder: Path) -> tuple[Entry, ...]:
    with open_index(folder) as index:
        return index.entries()


TALK = (RunStarted(time=0, investigations=2), started("one"), started("two"), *turn("two"))


async def test_turns_tokens_and_ends_are_those_of_the_journal(tmp_path: Path) -> None:
    summary = Compacted(time=2, investigation="two", seed=1, completion=REPLY, messages=())
    await record(tmp_path, *TALK, summary, *turn("two"), ended("two"))
    assert entries(tmp_path) == (
        Entry("one", 0, 0, None),
        Entry("two", 2, 36, StopReason.COMPLETED),
    )


async def test_the_events_of_one_investigation_are_found(tmp_path: Path) -> None:
    await record(tmp_path, *TALK, ended("one"), ended("two"))
    with open_index(tmp_path) as index:
        assert index.events("two") == [started("two"), *turn("two"), ended("two")]
        assert index.events("three") == []


async def test_an_index_that_is_behind_is_brought_up_to_date(tmp_path: Path) -> None:
    await record(tmp_path, *TALK)
    assert entries(tmp_path)[1] == Entry("two", 1, 12, None)
    await record(tmp_path, *turn("two"), ended("two"))
    assert entries(tmp_path)[1] == Entry("two", 2, 24, StopReason.COMPLETED)


async def test_an_investigation_that_was_taken_up_again_has_no_end(tmp_path: Path) -> None:
    again = InvestigationResumed(time=4, investigation="one", is_exact=True)
    await record(tmp_path, started("one"), ended("one", StopReason.SERVER_LOST))
    assert entries(tmp_path)[0].stop_reason == StopReason.SERVER_LOST
    await record(tmp_path, again)
    assert entries(tmp_path)[0].stop_reason is None


async def test_a_torn_last_line_is_left_for_later(tmp_path: Path) -> None:
    await record(tmp_path, *TALK)
    path = tmp_path / "events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event":"turn_ended","inv')
    assert len(entries(tmp_path)) == 2
    path.write_bytes(whole)
    await record(tmp_path, ended("two"))
    assert entries(tmp_path)[1] == Entry("two", 1, 12, StopReason.COMPLETED)


async def test_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    await record(tmp_path, *TALK)
    (tmp_path / INDEX).write_bytes(b"no database at all" * 100)
    assert len(entries(tmp_path)) == 2
    with closing(sqlite3.connect(tmp_path / INDEX)) as made:
        assert made.execute("SELECT count(*) FROM lines").fetchone()[0] > 0


async def test_an_index_of_another_journal_is_made_again(tmp_path: Path) -> None:
    await record(tmp_path, *TALK)
    assert len(entries(tmp_path)) == 2
    (tmp_path / "events.jsonl").unlink()
    await record(tmp_path, started("three"))
    assert entries(tmp_path) == (Entry("three", 0, 0, None),)


async def test_an_index_that_cannot_be_written_is_kept_in_memory(tmp_path: Path) -> None:
    await record(tmp_path, *TALK)
    (tmp_path / INDEX).mkdir()
    assert len(entries(tmp_path)) == 2


async def test_a_line_that_is_no_text_is_left_to_who_reads_it(tmp_path: Path) -> None:
    await record(tmp_path, *TALK)
    path = tmp_path / "events.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event":"turn_ended","investigation":"o\xffe"}\n')
    assert [entry.id for entry in entries(tmp_path)] == ["one", "two"]


async def test_an_investigation_that_lacks_a_line_is_not_gone_on_with(tmp_path: Path) -> None:
    opened, _, turn_ended = turn("one")
    await record(tmp_path, started("one"), opened, turn_ended)
    with (
        open_index(tmp_path) as index,
        pytest.raises(UsageError, match=r"one has turn_ended .* no completion_received"),
    ):
        index.events("one")


def test_without_a_journal_there_is_no_index(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is this a run"), open_index(tmp_path):
        pass


def from_journal(folder: Path, name: str) -> list[Event]:
    events = read_events(folder / "events.jsonl")
    return [event for event in events if getattr(event, "investigation", None) == name]


def found(index: Index, names: Iterable[str]) -> dict[str, list[Event]]:
    return {name: list[Event](index.events(name)) for name in names}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=5))
async def test_however_it_grew_it_tells_what_the_journal_tells(
    tmp_path_factory: pytest.TempPathFactory, growth: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for names in growth:
        await record(
            folder,
            *[event for name in names for event in (started(name), *turn(name), ended(name))],
        )
        with open_index(folder) as index:
            told = found(index, "abc")
        assert told == {name: from_journal(folder, name) for name in "abc"}
