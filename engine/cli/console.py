"""The two streams of the program: data on stdout, everything said to a person on stderr."""

import sys

import msgspec


def emit(text: str) -> None:
    """Write one piece of data to stdout."""
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def emit_json(value: object) -> None:
    """Write `value` to stdout as indented JSON."""
    emit(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def say(text: str) -> None:
    """Tell the person at the terminal something, on stderr."""
    sys.stderr.write(text.rstrip("\n") + "\n")
    sys.stderr.flush()
