"""What goes back to the model after its reply. Pure."""

import ast
from collections.abc import Sequence
from typing import cast

from engine.actions import AnyAction, Ask, Circling, Cut, Empty, Malformed
from engine.phase import Phase
from engine.prompts import render
from engine.transcript import NAMESPACE_LOST, Execution

_SHOWN_CHARS = 2000
_EDGE_CHARS = 1000
_SHOWN_ITEMS = 20
_LAST_ITEMS = 2


def respond(
    phase: Phase,
    action: AnyAction,
    executions: Sequence[Execution],
    notes: Sequence[str],
    *,
    has_code: bool,
) -> str | None:
    """Return what answers a reply, with `notes` at its end; None when nothing does.

    `has_code`: code in replies is executed in this experiment.
    """
    if executions:
        return observe(phase, executions, notes)
    word = _word_on(phase, action, has_code=has_code)
    return "\n\n".join([*([word] if word else []), *notes]) or None


def observe(phase: Phase, executions: Sequence[Execution], notes: Sequence[str]) -> str:
    """Return the message about `executions`: each block's output, hints, then `notes`."""
    blocks = [{"text": shorten(execution.output.rstrip())} for execution in executions]
    hints = _hints(phase, executions)
    return render(phase.texts.observation, executions=blocks, notes=[*hints, *notes])


def shorten(output: str) -> str:
    """Return at most about 2,000 characters of `output`.

    A printed list or dict keeps its first items; other text keeps its first and last 1,000
    characters, so that the error at the end of a traceback is always shown.
    """
    if len(output) <= _SHOWN_CHARS:
        return output
    return _short_literal(output) or _short_text(output)


def _word_on(phase: Phase, action: AnyAction, *, has_code: bool) -> str | None:
    """Return what is said to a reply of which nothing was executed."""
    match action:
        case Cut():
            template = phase.texts.cut
        case Malformed():
            template = phase.texts.malformed
        case Circling():
            template = phase.texts.circling
        case Empty():
            template = phase.texts.empty
        case Ask():
            template = phase.texts.nudge
        case _:
            return None
    return render(template, done_signal=phase.rules.done_signal, has_code=has_code)


def _hints(phase: Phase, executions: Sequence[Execution]) -> list[str]:
    if any(execution.error and execution.error.kind == NAMESPACE_LOST for execution in executions):
        return [phase.texts.namespace_lost.strip()]
    is_silent = not any(execution.output.strip() for execution in executions)
    return [phase.texts.no_output.strip()] if executions and is_silent else []


def _short_text(output: str) -> str:
    n_lines = output.count("\n") + 1
    notice = f"\n[... shortened: {len(output)} characters, {n_lines} lines in all ...]\n"
    return output[:_EDGE_CHARS] + notice + output[-_EDGE_CHARS:]


def _short_literal(output: str) -> str | None:
    if output[0] not in "[{" or output[-1] not in "]}":
        return None
    try:
        short = _short_collection(ast.literal_eval(output))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return short if short is not None and len(short) <= _SHOWN_CHARS else None


def _short_collection(value: object) -> str | None:
    if isinstance(value, list):
        return _short_list(cast("list[object]", value))
    if isinstance(value, dict):
        return _short_dict(cast("dict[object, object]", value))
    return None


def _short_list(items: list[object]) -> str | None:
    if len(items) <= _SHOWN_ITEMS:
        return None
    first = ", ".join(map(repr, items[:_SHOWN_ITEMS]))
    last = ", ".join(map(repr, items[-_LAST_ITEMS:]))
    return f"[{first}, [... {len(items)} items in all ...], {last}]"


def _short_dict(pairs: dict[object, object]) -> str | None:
    if len(pairs) <= _SHOWN_ITEMS:
        return None
    first = list(pairs.items())[:_SHOWN_ITEMS]
    shown = ", ".join(f"{key!r}: {item!r}" for key, item in first)
    return f"{{{shown}, [... {len(pairs)} items in all ...]}}"
