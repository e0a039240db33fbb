"""The two streams of the program: data on stdout, everything said to a person on stderr."""

import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rich.table import Table

_PIPE_WIDTH = 160
"""Columns of a table that no terminal limits."""


def emit(text: str) -> None:
    """Write one piece of data to stdout."""
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def emit_json(value: object) -> None:
    """Write `value` to stdout as indented JSON."""
    emit(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def emit_table(table: "Table") -> None:
    """Write a table to stdout: coloured and fitted in a terminal, plain and wide in a pipe."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    Console(file=sys.stdout, width=None if is_terminal else _PIPE_WIDTH).print(table)


def say(text: str) -> None:
    """Tell the person at the terminal something, on stderr."""
    sys.stderr.write(text.rstrip("\n") + "\n")
    sys.stderr.flush()
