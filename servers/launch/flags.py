"""Reads and changes flags of a command line. Pure."""

from collections.abc import Sequence

Argv = tuple[str, ...]


def flag_value(argv: Sequence[str], flag: str) -> str | None:
    """Return the value of `--flag value` or `--flag=value`, the last one given; None without it."""
    found = None
    for position, argument in enumerate(argv):
        name, equals, value = argument.partition("=")
        if name == flag:
            following = argv[position + 1 : position + 2]
            found = value if equals else following[0] if following else ""
    return found


def with_flag(argv: Sequence[str], flag: str, value: str | None = None) -> Argv:
    """Return `argv` with the flag set to `value`; a switch if that is None."""
    kept = without_flag(argv, flag, has_value=value is not None)
    return (*kept, flag) if value is None else (*kept, flag, value)


def without_flag(argv: Sequence[str], flag: str, *, has_value: bool) -> Argv:
    """Return `argv` without the flag and its value."""
    kept: list[str] = []
    arguments = iter(argv)
    for argument in arguments:
        if argument == flag:
            if has_value:
                next(arguments, None)
        elif not argument.startswith(f"{flag}="):
            kept.append(argument)
    return tuple(kept)
