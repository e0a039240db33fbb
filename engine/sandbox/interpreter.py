"""Runs one block of model code in the namespace of its investigation, as a REPL would.

One dictionary serves as globals and locals, that of the module `__main__`, so functions,
comprehensions, classes and imports of one block are seen by the next. A lone expression at the end
is echoed.
"""

import ast
import io
import itertools
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Collection

from engine.sandbox.protocol import MAX_KIND_CHARS, MAX_MESSAGE_CHARS, Failure

BLOCK = "<block "
"""How the file names of blocks begin, in tracebacks."""

_HEAD_CHARS = 1_500
_TAIL_CHARS = 2_500


class Timeout(BaseException):
    """The block ran too long. Not an `Exception`, so that `except Exception` lets it pass."""

    __module__ = "builtins"


def new_namespace() -> dict[str, object]:
    """Return the namespace of a fresh `__main__` module, which becomes the current one."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    return module.__dict__


def run_block(code: str, name: str, namespace: dict[str, object]) -> None:
    """Execute `code`; whatever it raises passes through."""
    linecache.cache[name] = (len(code), None, _lines(code), name)
    # Else what was warned of in a line of an earlier block is not told for the same line of this.
    namespace.pop("__warningregistry__", None)
    body = ast.parse(code, name).body
    last = [body.pop()] if body and isinstance(body[-1], ast.Expr) else []
    parts = (
        compile(ast.Module(body, []), name, "exec", dont_inherit=True),
        compile(ast.Interactive([*last]), name, "single", dont_inherit=True),
    )
    for part in parts:
        exec(part, namespace)  # noqa: S102 - running model code is the purpose


def _lines(code: str) -> list[str]:
    """Return the lines as Python counts them, which knows fewer ends than `str.splitlines`.

    The last one is ended, too, as `traceback` takes for granted where it puts its marks.
    """
    return list(io.StringIO(f"{code}\n", newline=None))


def outcome(run: Callable[[], None], hidden: Collection[str]) -> Failure | None:
    """Call `run` and return what it raised; frames of files named `hidden...` are left out.

    `SystemExit` ends the block without being a failure, unless it carries a message.
    """
    try:
        run()
    except SystemExit as leaving:
        return None if leaving.code in (None, 0) else failure(leaving, hidden)
    except BaseException as error:  # noqa: BLE001 - whatever model code raises is its result
        return failure(error, hidden)
    return None


def failure(error: BaseException, hidden: Collection[str]) -> Failure:
    """Describe an exception, its traceback without the frames of `hidden` files."""
    kind = type(error).__name__[:MAX_KIND_CHARS]
    try:
        message = str(error)[:MAX_MESSAGE_CHARS]
    except Exception:  # noqa: BLE001 - __str__ is model code
        message = "<the message of the exception cannot be shown>"
    shown = _formatted(error, hidden) or f"{kind}: {message}\n"
    return Failure(kind=_utf8(kind), message=_utf8(message), traceback=_utf8(shown))


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _formatted(error: BaseException, hidden: Collection[str]) -> str:
    try:
        described = traceback.TracebackException.from_exception(error, compact=True)
        _trim(described, hidden)
        text = "".join(described.format())
    except Exception:  # noqa: BLE001 - formatting calls model code (__str__, __repr__)
        return ""
    if len(text) <= _HEAD_CHARS + _TAIL_CHARS:
        return text
    return f"{text[:_HEAD_CHARS]}\n  ...\n{text[-_TAIL_CHARS:]}"


def _trim(described: traceback.TracebackException, hidden: Collection[str]) -> None:
    """Leave out what is below the block, and what is not the model's business."""
    frames = list(described.stack)
    own = [n for n, frame in enumerate(frames) if frame.filename.startswith(BLOCK)]
    shown = itertools.takewhile(
        lambda frame: not frame.filename.startswith(tuple(hidden)), frames[own[0] :] if own else []
    )
    described.stack = traceback.StackSummary.from_list(list(shown))
    for inner in (described.__cause__, described.__context__, *(described.exceptions or ())):
        if inner is not None:
            _trim(inner, hidden)
