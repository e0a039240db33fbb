"""The two streams of the program: data on stdout, everything said to a person on stderr."""

import json
import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import msgspec

from engine.errors import RunError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_N_STANDARD = 3
_PIPE_WIDTH = 160
"""Columns of a table that no terminal limits."""
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def occupy_closed_streams() -> None:
    """Let no file that is opened later get the number of a standard stream that is closed.

    What a library complains of would be written into it, and libuv aborts when it closes it.
    """
    for number in range(_N_STANDARD):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            os.set_inheritable(nowhere, True)  # noqa: FBT003 - positional only


def pass_nothing_on() -> None:
    """Let no child have a descriptor that this process was started with, standard ones aside.

    uvloop starts programs without closing any.
    """
    folder = Path("/dev/fd")
    for number in [int(each.name) for each in folder.iterdir()] if folder.is_dir() else ():
        with suppress(OSError):  # that of the folder itself is closed again
            if number >= _N_STANDARD:
                os.set_inheritable(number, False)  # noqa: FBT003 - positional only


def tolerate() -> None:
    """Let stdout print what it can of a text that its encoding has no characters for."""
    stdout: object = sys.stdout
    if isinstance(stdout, TextIOWrapper):
        cast("TextIOWrapper", stdout).reconfigure(errors="replace")


def emit(text: str) -> None:
    """Write one piece of data to stdout; where nobody reads it any more, it is not missed.

    Raises:
        RunError: it cannot be written.
    """
    if sys.stdout is None:
        return
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        _abandon(sys.stdout)
    except OSError as error:
        _abandon(sys.stdout)
        raise RunError(f"stdout cannot be written ({error.strerror}).") from error


def emit_json(value: object) -> None:
    """Write `value` to stdout as indented JSON."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    emit(text if _can_encode(text) else _BEYOND_ASCII.sub(_escaped, text))


def emit_table(table: "Table") -> None:
    """Write a table to stdout: coloured and fitted in a terminal, plain and wide in a pipe."""
    with drawn(width=None if is_terminal(sys.stdout) else _PIPE_WIDTH) as console:
        console.print(table)


@contextmanager
def drawn(width: int | None = None) -> Generator["Console"]:
    """Yield what draws for stdout; what it has drawn is written when the block ends.

    Rich would write by itself, and end the program with a failure where nobody reads any more.

    Raises:
        RunError: it cannot be written.
    """
    from rich.console import Console

    drawing = _Drawing()
    yield Console(file=drawing, force_terminal=is_terminal(sys.stdout), width=width)
    if text := drawing.getvalue():
        emit(text)


class _Drawing(StringIO):
    """What is drawn for stdout, with the lines that its encoding has."""

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride] - read only
        return getattr(sys.stdout, "encoding", None) or "utf-8"


def say(text: str) -> None:
    """Tell the person at the terminal something, on stderr; nothing fails if nobody hears it."""
    if sys.stderr is None:
        return
    try:
        _write(sys.stderr, text)
    except OSError:
        _abandon(sys.stderr)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person sees what is written to `stream`; None: it has always been closed."""
    return stream is not None and stream.isatty()


def _can_encode(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _escaped(found: re.Match[str]) -> str:
    """Return a character as a string of JSON can have it in every encoding."""
    return json.dumps(found[0])[1:-1]


def _write(stream: TextIO, text: str) -> None:
    stream.write(text.rstrip("\n") + "\n")
    stream.flush()


def _abandon(stream: TextIO) -> None:
    """Send nowhere what `stream` still holds and is given: its flush at exit must not fail."""
    with suppress(OSError):  # a stream without a descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
