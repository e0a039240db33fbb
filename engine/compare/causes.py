"""Whether the model or the harness caused a failed execution, and which names do not exist. Pure.

The harness: the walls and limits of the sandbox, and limits of what introspection takes, keeps and
answers. A block that needs a file, a thread or an absent package would have run elsewhere; one that
uses a name which never existed would not, be it a module called like a part of introspection.
"""

import re
from enum import StrEnum

from engine.transcript import NAMESPACE_LOST, Execution, ExecutionError


class Cause(StrEnum):
    """What made an execution fail."""

    MODEL = "model"
    SANDBOX_LIMIT = "sandbox limit"
    """Time, memory, size of a block, or a lost process."""
    SANDBOX_WALL = "sandbox wall"
    """A file, a process, a thread, the network, or a package that is not there."""
    INTROSPECTION_LIMIT = "introspection limit"
    """A question or an answer that is too large or too late, too many of them in one block, or more
    findings than are kept."""


_LIMITS = frozenset({NAMESPACE_LOST, "MemoryError", "Timeout"})
_WALLS = (
    ("PermissionError", ""),
    ("BlockingIOError", ""),
    ("RuntimeError", "can't start new thread"),
    ("ModuleNotFoundError", "What can be imported:"),
    ("OSError", "cannot open shared object file"),
)
_NEVER_THERE = re.compile(
    r"No module named '(?:introspect\w*|architecture|weights|activations|temporal|attention"
    r"|gradient|history|memory|generation|heritage)'"
)
_TOO_LONG = re.compile(r"the block has [\d,]+ characters, at most")
_REFUSED = re.compile(
    r"no answer within|took too long together|too many introspection calls|too many arrays"
    r"|at most [\d,]+ (?:are (?:taken|given|answered)|can be passed|fit)"
    r"|the values have more than \d+ MiB|text has [1-9]\d* tokens, and must have"
    r"|are (?:stored|recorded), no more fit|are stored already"
)
_UNKNOWN = (
    re.compile(r"module 'introspection(?:\.(?P<module>\w+))?' has no attribute '(?P<name>\w+)'"),
    re.compile(r"cannot import name '(?P<name>\w+)' from 'introspection(?:\.(?P<module>\w+))?'"),
    re.compile(r"[Nn]o module named 'introspection\.(?P<name>\w+)'(?P<module>)"),
)


def cause_of(error: ExecutionError) -> Cause:
    """Return what caused `error`."""
    is_late = error.kind == "TimeoutError" and "time of the block is up" in error.message
    if error.kind in _LIMITS or is_late or _TOO_LONG.match(error.message):
        return Cause.SANDBOX_LIMIT
    if _NEVER_THERE.match(error.message):
        return Cause.MODEL
    if any(error.kind == kind and words in error.message for kind, words in _WALLS):
        return Cause.SANDBOX_WALL
    if _REFUSED.search(error.message):
        return Cause.INTROSPECTION_LIMIT
    return Cause.MODEL


def is_of_harness(execution: Execution) -> bool:
    """Tell whether it failed by what the harness does not allow."""
    return execution.error is not None and cause_of(execution.error) is not Cause.MODEL


def unknown_name(error: ExecutionError) -> str | None:
    """Return the name in the introspection API that was used and does not exist, if that failed."""
    for pattern in _UNKNOWN:
        found = pattern.search(error.message)
        if found:
            return ".".join(part for part in (found["module"], found["name"]) if part)
    return None
