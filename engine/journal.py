"""The append-only file of events: the only truth about a run.

One JSON line per event, never rewritten. A thread writes the events: no kill takes what was handed
to it. It syncs them in groups: while one group is on its way to the disk, and a little longer, the
next one gathers, so a durable event costs little when many wait. A torn last line (a kill in the
middle of a write) is passed over by the reader and cut off by the next writer.
"""

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from engine.errors import JournalError, RunError, UsageError
from engine.events import AnyEvent, Compacted, CompletionReceived, Event

_WITH_COMPLETION = (CompletionReceived, Compacted)
_GATHER_S = 0.05
"""Longest time that an event waits for others before it is written."""
_PACE_S = 0.01
"""Least time from one sync to the next: a sync for every reply would cost a tenth of a turn."""
_STEP_BYTES = 2**16
_sync = getattr(os, "fdatasync", os.fsync)
"""macOS has no fdatasync."""
_DECODER: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises of bytes that are not what they should be: bad UTF-8 and deep nesting have
errors of Python's own."""


class Journal:
    """The open end of one events.jsonl; belongs to the event loop that opened it."""

    def __init__(self, fd: int) -> None:
        """Start writing to `fd`, which is open for appending."""
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._encoder = msgspec.json.Encoder()
        self._queue: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._gathered: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._n_appended = self._n_until_completion = 0
        self._n_durable = 0
        """Set by the thread."""
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._error: JournalError | None = None
        self._n_taken = 0
        """By the thread, which alone uses this and the next."""
        self._unwritten = b""
        """What is not in the file yet; after an error it is tried once more at the end."""
        self._thread = threading.Thread(target=self._write_groups, name="journal", daemon=True)
        self._thread.start()

    def append(self, event: Event) -> None:
        """Take `event` into the next group; a completion sends it off.

        Raises:
            JournalError: an earlier group could not be written.
        """
        if self._error:
            raise self._error
        self._n_appended += 1
        self._gathered.append(self._encoder.encode(event) + b"\n")
        if isinstance(event, _WITH_COMPLETION):
            self._n_until_completion = self._n_appended
            self._hand_over()
        elif self._timer is None:
            self._timer = self._loop.call_later(_GATHER_S, self._on_gathered)

    async def secure(self) -> None:
        """Return once every completion appended so far is on the disk.

        Raises:
            JournalError: it could not be written.
        """
        await self._durable(self._n_until_completion)

    async def commit(self) -> None:
        """Return once every event appended so far is on the disk.

        Raises:
            JournalError: it could not be written.
        """
        self._hand_over()
        await self._durable(self._n_appended)

    def close(self) -> None:
        """Write what is pending and end the thread; takes as long as one write to the disk.

        Raises:
            JournalError: something could not be written, or only now.
        """
        if self._timer:
            self._timer.cancel()
        self._hand_over()
        self._queue.put(None)
        self._thread.join()
        if self._error:
            raise self._error

    def _on_gathered(self) -> None:
        self._timer = None
        self._hand_over()

    def _hand_over(self) -> None:
        """Give what was gathered to the thread."""
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    async def _durable(self, n: int) -> None:
        """Return once the first `n` events are on the disk."""
        if self._error:
            raise self._error
        if self._n_durable < n:
            durable: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append((n, durable))
            if self._error or self._n_durable >= n:
                self._wake()  # the thread was done before it could see who waits
            await durable

    def _write_groups(self) -> None:
        is_open, due = True, 0.0
        while is_open:
            is_open = self._write_next(None)
            while is_open and (left_s := due - time.monotonic()) > 0:
                is_open = self._write_next(left_s)
            self._sync_group()
            due = time.monotonic() + _PACE_S

    def _write_next(self, limit_s: float | None) -> bool:
        """Write what comes within `limit_s`; False once it was the last."""
        group, is_open = _gather(self._queue, limit_s)
        self._n_taken += len(group)
        self._unwritten += b"".join(group)
        if not (self._error and is_open):
            with self._failing():
                while self._unwritten:
                    self._unwritten = self._unwritten[os.write(self._fd, self._unwritten) :]
        return is_open

    def _sync_group(self) -> None:
        if not self._unwritten:
            with self._failing():
                _sync(self._fd)
                self._n_durable = self._n_taken
        if self._waiting and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    @contextmanager
    def _failing(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            self._error = JournalError(
                f"events.jsonl cannot be written ({error.strerror}). What was recorded before is "
                "intact: make room or make it writable, then resume the run."
            )

    def _wake(self) -> None:
        still_waiting: list[tuple[int, asyncio.Future[None]]] = []
        for position, durable in self._waiting:
            if durable.done():
                continue
            if self._error:
                durable.set_exception(self._error)
            elif position <= self._n_durable:
                durable.set_result(None)
            else:
                still_waiting.append((position, durable))
        self._waiting = still_waiting


@contextmanager
def open_journal(path: Path) -> Generator[Journal]:
    """Open `path` for appending, locked against a second writer; all is durable on leaving.

    Raises:
        UsageError: another process is writing to it.
        RunError: it cannot be opened, or, a JournalError, not be written.
    """
    with locked(path) as fd, writing(fd) as journal:
        yield journal


@contextmanager
def locked(path: Path) -> Generator[int]:
    """Lock `path` against other writers and cut a torn last line; yield its descriptor.

    What is read from now on stays true until this process writes.

    Raises:
        UsageError: another process is writing to it.
        RunError: it cannot be opened for writing.
    """
    fd = _open_locked(path)
    try:
        _cut_torn_line(fd)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def writing(fd: int) -> Generator[Journal]:
    """Append to the locked journal `fd`; all is durable on leaving.

    Raises:
        JournalError: it cannot be written.
    """
    journal = Journal(fd)
    try:
        yield journal
    finally:
        journal.close()


def read_events(path: Path) -> Iterator[AnyEvent]:
    """Yield the events of `path`, oldest first; a torn last line is passed over.

    Raises:
        UsageError: the file cannot be read, or a line other than the last is not an event.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return  # torn, or half written: the rest of it may come at any time
                yield decode_event(line, f"{path}, line {number}")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}). Is this a run?") from error


def decode_event(line: bytes, place: str) -> AnyEvent:
    """Return the event that a line of a journal holds; `place` names the line.

    Raises:
        UsageError: it holds none.
    """
    try:
        return _DECODER.decode(line)
    except UNDECODABLE as error:
        raise UsageError(
            f"{place}: not an event of this version ({error}). "
            "The file was changed by hand or written by another version."
        ) from error


def write_durably(fd: int, data: bytes) -> None:
    """Write all of `data` to `fd` and wait until it is on the disk."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.fsync(fd)


def _gather(
    queue: SimpleQueue[list[bytes] | None], limit_s: float | None
) -> tuple[list[bytes], bool]:
    """Wait for lines, take all that are there; False when the end was among them."""
    group: list[bytes] = []
    try:
        lines = queue.get(timeout=limit_s)
        while lines is not None:
            group += lines
            lines = queue.get_nowait()
    except Empty:
        return group, True
    return group, False


def _open_locked(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be opened for writing ({error.strerror}). Restore it from a copy, or "
            "let this user write it."
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise _not_locked(path, error) from error
    return fd


def _not_locked(path: Path, error: OSError) -> UsageError | RunError:
    if isinstance(error, BlockingIOError):
        return UsageError(
            f"{path.parent}: another process is working on this run. Wait for its end, or stop it "
            "with Ctrl-C."
        )
    return RunError(
        f"{path}: cannot be locked ({error.strerror}). Move the run to a file system with locks."
    )


def _cut_torn_line(fd: int) -> None:
    size = os.fstat(fd).st_size
    whole = _end_of_lines(fd, size)
    if whole < size:
        os.ftruncate(fd, whole)


def _end_of_lines(fd: int, size: int) -> int:
    """Return where the last whole line ends, looked for from the end of the file."""
    end = size
    while end:
        start = max(0, end - _STEP_BYTES)
        place = os.pread(fd, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0
