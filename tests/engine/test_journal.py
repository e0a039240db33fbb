"""Durability of events."""

import asyncio
import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
from io import BufferedReader, RawIOBase
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.errors import RunError, UsageError
from engine.events import CompletionReceived, InvestigationEnded, RunEnded, RunStarted
from engine.journal import open_journal, read_events
from engine.transcript import Completion, StopReason, Usage

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def a_completion() -> CompletionReceived:
    completion = Completion(
        text="text", finish_reason="stop", usage=Usage(), sent=1.0, received=2.0
    )
    return CompletionReceived(
        time=2.0, investigation="a", experiment="x", turn=0, seed=1, completion=completion
    )


def an_event(number: int) -> RunStarted:
    return RunStarted(time=float(number), investigations=number)


async def test_committed_events_can_be_read_while_the_journal_is_open(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with open_journal(path) as journal:
        journal.append(an_event(1))
        await journal.commit()
        assert list(read_events(path)) == [an_event(1)]


async def test_closing_writes_what_nobody_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with open_journal(path) as journal:
        for number in range(500):
            journal.append(an_event(number))
    assert list(read_events(path)) == [an_event(number) for number in range(500)]


async def test_a_completion_goes_to_the_disk_before_anybody_waits(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with open_journal(path) as journal:
        journal.append(a_completion())
        async with asyncio.timeout(60):
            while not path.stat().st_size:
                await asyncio.sleep(0.001)
        assert list(read_events(path)) == [a_completion()]


async def test_a_completion_outlives_a_kill_while_a_sync_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.journal._PACE_S", 3600.0)
    path = tmp_path / "events.jsonl"
    with open_journal(path) as journal:
        journal.append(an_event(1))
        await journal.commit()
        journal.append(a_completion())
        async with asyncio.timeout(60):
            while len(list(read_events(path))) < 2:
                await asyncio.sleep(0.001)
        assert list(read_events(path)) == [an_event(1), a_completion()]


async def test_completions_that_come_together_share_a_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[float] = []

    def count(_fd: int) -> None:
        synced.append(time.monotonic())

    monkeypatch.setattr("engine.journal._PACE_S", 0.03)
    monkeypatch.setattr("engine.journal._sync", count)
    with open_journal(tmp_path / "events.jsonl") as journal:
        async with asyncio.timeout(60):
            while len(synced) < 4:
                journal.append(a_completion())
                await asyncio.sleep(0)
        apart = [later - sooner for sooner, later in pairwise(synced)]
    assert min(apart) >= 0.03


async def test_completions_are_secured_without_waiting_for_what_follows_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.jsonl"
    with open_journal(path) as journal:
        journal.append(an_event(1))
        journal.append(a_completion())
        journal.append(an_event(2))
        await journal.secure()
        assert list(read_events(path))[:2] == [an_event(1), a_completion()]


async def test_many_waiters_are_all_woken(tmp_path: Path) -> None:
    async def one(number: int) -> None:
        journal.append(an_event(number))
        await journal.commit()

    with open_journal(tmp_path / "events.jsonl") as journal:
        async with asyncio.TaskGroup() as group:
            for number in range(300):
                group.create_task(one(number))


async def test_a_cancelled_waiter_does_not_disturb_the_others(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with open_journal(path) as journal:
        journal.append(an_event(1))
        async with asyncio.TaskGroup() as group:
            group.create_task(journal.commit()).cancel()
            group.create_task(journal.commit())
    assert list(read_events(path)) == [an_event(1)]


async def test_events_keep_their_kind_and_fields(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = [
        InvestigationEnded(
            time=1.5, investigation="a", stop_reason=StopReason.SERVER_LOST, detail="x"
        ),
        RunEnded(time=2.0, is_interrupted=True),
    ]
    with open_journal(path) as journal:
        for event in events:
            journal.append(event)
    assert list(read_events(path)) == events


async def test_a_torn_last_line_is_passed_over_and_cut_off_by_the_next_writer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.jsonl"
    with open_journal(path) as journal:
        journal.append(an_event(1))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event":"run_sta')
    assert list(read_events(path)) == [an_event(1)]
    with open_journal(path) as journal:
        journal.append(an_event(2))
    assert list(read_events(path)) == [an_event(1), an_event(2)]


class Growing(RawIOBase):
    """A file that grows between two reads of its end: `parts` with nothing between them."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = iter([each for part in parts for each in (part, b"")])

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        part = next(self._parts, b"")
        memoryview(buffer)[: len(part)] = part
        return len(part)


def test_a_line_that_is_half_written_when_it_is_read_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = msgspec.json.encode(an_event(1)) + b"\n"

    def growing(_path: Path, _mode: str) -> BufferedReader:
        return BufferedReader(Growing(line + line[:20], line[20:] + line))

    monkeypatch.setattr(Path, "open", growing)
    assert list(read_events(Path("events.jsonl"))) == [an_event(1)]


@pytest.mark.parametrize("n_bytes", [1, 2**16 - 1, 2**16, 2**16 + 1, 300_000])
async def test_a_torn_line_of_any_length_is_cut_off(n_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"whole\n" + b"x" * n_bytes)
    with open_journal(path):
        assert path.read_bytes() == b"whole\n"


async def test_a_journal_of_nothing_but_a_torn_line_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"x" * 100_000)
    with open_journal(path):
        assert path.read_bytes() == b""


async def test_opening_a_journal_takes_no_memory_for_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes((b"x" * 999 + b"\n") * 8_000)
    tracemalloc.start()
    try:
        with open_journal(path):
            peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize(
    "line",
    [b'{"event":"nonsense"}', b'{"event":"run_\xff"}', b'{"x":' + b"[" * 10_000],
    ids=["no event", "no text", "nested too deeply"],
)
async def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(
    line: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line + b"\n")
    with pytest.raises(UsageError, match="line 1"):
        list(read_events(path))


async def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    refused = pytest.raises(UsageError, match=r"another process .* Wait for its end")
    with open_journal(path), refused, open_journal(path):
        pass


async def test_a_file_system_without_locks_is_not_taken_for_a_second_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_fd: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with (
        pytest.raises(RunError, match=r"cannot be locked \(No locks available\)"),
        open_journal(tmp_path / "events.jsonl"),
    ):
        pass


async def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match=r"cannot be opened.*Restore it"),
        open_journal(tmp_path / "no" / "e"),
    ):
        pass


FULL_DISK = """
import asyncio, pathlib, sys
from engine.errors import JournalError
from engine.events import RunStarted
from engine.journal import open_journal

async def main():
    try:
        with open_journal(pathlib.Path(sys.argv[1])) as journal:
            for number in range(100_000):
                journal.append(RunStarted(time=0.0, investigations=number))
                await journal.commit()
    except JournalError as error:
        print(error)
        sys.exit(7)

asyncio.run(main())
"""


def test_a_full_disk_is_reported_at_once_and_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    def small_files_only() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        preexec_fn=small_files_only,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "intact" in done.stdout
    events = list(read_events(path))
    assert events == [RunStarted(time=0.0, investigations=n) for n in range(len(events))]
    assert len(events) > 10


WRITE_FOREVER = """
import asyncio, pathlib, sys
from engine.events import RunStarted
from engine.journal import open_journal

async def main():
    with open_journal(pathlib.Path(sys.argv[1])) as journal:
        for number in range(10_000_000):
            journal.append(RunStarted(time=0.0, investigations=number))
            await journal.commit()
            print(number, flush=True)

asyncio.run(main())
"""


def test_kill_9_loses_no_committed_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    command = [sys.executable, "-c", WRITE_FOREVER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        seen = [int(process.stdout.readline()) for _ in range(50)]
        os.kill(process.pid, signal.SIGKILL)
        seen += [int(line) for line in process.stdout]
    events = list(read_events(path))
    assert len(events) > seen[-1]
    assert events == [RunStarted(time=0.0, investigations=n) for n in range(len(events))]
