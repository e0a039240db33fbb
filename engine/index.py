"""Where in a journal each investigation is recorded: derived from it, and thrown away at will.

A run of thousands of investigations is taken up, or one of them read, without decoding what all
the others did. Only the journal is true: an index that is missing, damaged or of another journal
is made again, one that is behind is brought up to date.
"""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from engine.errors import UsageError
from engine.events import AnyEvent
from engine.fold import transcripts
from engine.journal import UNDECODABLE, decode_event
from engine.transcript import StopReason, Usage

INDEX = "index.sqlite"
_HEAD_BYTES = 4096
_SCHEMA = """
CREATE TABLE IF NOT EXISTS covered (n_bytes INTEGER NOT NULL, head BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS entries (
    id TEXT PRIMARY KEY, turns INTEGER NOT NULL, tokens INTEGER NOT NULL, stop_reason TEXT);
CREATE TABLE IF NOT EXISTS lines (id TEXT NOT NULL, start INTEGER NOT NULL, size INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS lines_by_id ON lines (id);
"""


class Entry(NamedTuple):
    """What the index knows of one investigation."""

    id: str
    turns: int
    tokens: int
    """Prompt and completion tokens, those of summaries included."""
    stop_reason: StopReason | None
    """None: it has not ended, or was taken up again."""


class _Completion(msgspec.Struct):
    usage: Usage


class _Line(msgspec.Struct):
    """What is read of an event."""

    event: str
    investigation: str = ""
    completion: _Completion | None = None
    stop_reason: StopReason | None = None


_DECODER = msgspec.json.Decoder(_Line)


class Index:
    """An index that is up to date with its journal."""

    def __init__(self, database: sqlite3.Connection, journal: BinaryIO) -> None:
        """Look up in `database` what lies where in `journal`."""
        self._database = database
        self._journal = journal

    def entries(self) -> tuple[Entry, ...]:
        """Return every investigation, in the order in which they were begun."""
        rows = self._database.execute(
            "SELECT id, turns, tokens, stop_reason FROM entries ORDER BY rowid"
        )
        return tuple(
            Entry(name, turns, tokens, StopReason(reason) if reason else None)
            for name, turns, tokens, reason in rows
        )

    def events(self, investigation: str) -> list[AnyEvent]:
        """Return all that is recorded of one investigation, oldest first.

        Raises:
            UsageError: a line of it is no event, or missing.
        """
        rows = self._database.execute(
            "SELECT start, size FROM lines WHERE id = ? ORDER BY start", (investigation,)
        )
        found = [
            decode_event(self._read(start, size), f"events.jsonl, byte {start}")
            for start, size in rows
        ]
        transcripts(found)  # one that lacks a line is refused before anybody goes on with it
        return found

    def _read(self, start: int, size: int) -> bytes:
        self._journal.seek(start)
        return self._journal.read(size)


@contextmanager
def open_index(run_dir: Path) -> Generator[Index]:
    """Open the index of the run in `run_dir`, brought up to date with its journal.

    Raises:
        UsageError: there is no journal that can be read.
    """
    path = run_dir / "events.jsonl"
    try:
        journal = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}). Is this a run?") from error
    with journal, closing(_connected(run_dir, journal)) as database:
        yield Index(database, journal)


def _connected(run_dir: Path, journal: BinaryIO) -> sqlite3.Connection:
    """Return a database that is up to date: a file if that can be, else one in memory."""
    path = run_dir / INDEX
    for place in (path, path, ":memory:"):
        try:
            database = sqlite3.connect(place)
            try:
                _update(database, journal)
            except BaseException:
                database.close()
                raise
        except sqlite3.Error:  # damaged, locked, or in a directory that cannot be written
            with suppress(OSError):
                path.unlink(missing_ok=True)
            continue
        return database
    raise AssertionError("a database in memory can always be made")


def _update(database: sqlite3.Connection, journal: BinaryIO) -> None:
    """Take in what was recorded since the index was last up to date."""
    database.executescript(_SCHEMA)
    with database:
        n_bytes, news = _covered(database, journal), _News()
        for start, line in _lines_from(journal, n_bytes):
            news.take(start, line)
            n_bytes = start + len(line)
        news.write(database)
        database.execute("DELETE FROM covered")
        database.execute("INSERT INTO covered VALUES (?, ?)", (n_bytes, _head(journal, n_bytes)))


def _covered(database: sqlite3.Connection, journal: BinaryIO) -> int:
    """Return how many bytes are indexed; what is of another journal is forgotten."""
    row = database.execute("SELECT n_bytes, head FROM covered").fetchone()
    if row and row[1] == _head(journal, row[0]):
        return int(row[0])
    for table in ("entries", "lines"):
        database.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of our own
    return 0


def _head(journal: BinaryIO, n_bytes: int) -> bytes:
    """Return what tells this journal from others of at least `n_bytes`."""
    journal.seek(0)
    first = journal.read(min(n_bytes, _HEAD_BYTES))
    journal.seek(max(0, n_bytes - 1))
    last = journal.read(1) if n_bytes else b""
    return blake2b(first + last, digest_size=16).digest()


def _lines_from(journal: BinaryIO, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield each whole line from `start` on, with its place."""
    journal.seek(start)
    for line in journal:
        if not line.endswith(b"\n"):
            return  # torn, or half written: the rest of it may come at any time
        yield start, line
        start += len(line)


class _News:
    """What a stretch of the journal adds to the index."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, int, int]] = []
        self._entries: dict[str, Entry] = {}

    def take(self, start: int, data: bytes) -> None:
        try:
            line = _DECODER.decode(data)
        except UNDECODABLE:
            return  # whoever reads the journal itself says what is wrong with it
        name = line.investigation
        if not name:
            return
        self._lines.append((name, start, len(data)))
        usage = line.completion.usage if line.completion else Usage()
        before = self._entries.get(name, Entry(name, 0, 0, None))
        self._entries[name] = Entry(
            name,
            before.turns + (line.event == "turn_ended"),
            before.tokens + usage.prompt_tokens + usage.completion_tokens,
            line.stop_reason if line.event == "investigation_ended" else None,
        )

    def write(self, database: sqlite3.Connection) -> None:
        database.executemany("INSERT INTO lines VALUES (?, ?, ?)", self._lines)
        database.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "turns = turns + excluded.turns, tokens = tokens + excluded.tokens, "
            "stop_reason = excluded.stop_reason",
            self._entries.values(),
        )
