"""The comparison as a table: Markdown for a pipe, rich for a terminal."""

from collections.abc import Callable, Sequence

import msgspec
from rich.table import Table

from engine.compare.measures import ArmSummary

Figure = Callable[[ArmSummary], str]
_SHARING: dict[str, Figure] = {
    "turns shared with another investigation": lambda arm: f"{arm.inherited_turns}",
    "tokens saved by it": lambda arm: f"{arm.inherited_tokens:,}",
}


class Row(msgspec.Struct, frozen=True):
    """One measure and its value in each arm."""

    measure: str
    values: tuple[str, ...]


def rows(arms: Sequence[ArmSummary]) -> tuple[Row, ...]:
    """Return the comparison of `arms`, measure by measure."""
    shown = {**_figures(), **(_SHARING if any(arm.inherited_turns for arm in arms) else {})}
    return tuple(Row(name, tuple(map(figure, arms))) for name, figure in shown.items())


def markdown(arms: Sequence[ArmSummary]) -> str:
    """Return the comparison as a Markdown table."""
    head = ["", *(arm.model for arm in arms)]
    lines = [head, ["---", *("---:" for _ in arms)]]
    lines += [[row.measure, *row.values] for row in rows(arms)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def terminal(arms: Sequence[ArmSummary]) -> Table:
    """Return the comparison as a table for a terminal."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for arm in arms:
        table.add_column(arm.model, justify="right", style="bold")
    for row in rows(arms):
        table.add_row(row.measure, *row.values)
    return table


def _figures() -> dict[str, Figure]:
    return {
        "investigations": lambda arm: f"{arm.investigations}",
        "left out (infrastructure)": lambda arm: f"{arm.excluded}",
        "left out (saw what their condition hides)": lambda arm: f"{arm.impure}",
        "resumed, of them not exactly": lambda arm: f"{arm.resumed}, {arm.diverged}",
        "turns": lambda arm: _with_mean(arm, arm.turns),
        "code blocks executed": lambda arm: _with_mean(arm, arm.code_blocks_executed),
        "execution errors": _errors,
        "findings stored": lambda arm: _with_mean(arm, arm.findings),
        "tokens read": lambda arm: f"{arm.prompt_tokens:,}",
        "of them from the prefix cache": lambda arm: f"{arm.cached_tokens:,}",
        "tokens written": lambda arm: f"{arm.completion_tokens:,}",
        "seconds waiting for the model": lambda arm: f"{arm.model_s:.1f}",
        "seconds executing code": lambda arm: f"{arm.execution_s:.1f}",
        "ended by": lambda arm: ", ".join(f"{n} {why}" for why, n in arm.stop_reasons.items()),
    }


def _with_mean(arm: ArmSummary, count: int) -> str:
    kept = arm.investigations - arm.excluded - arm.impure
    return f"{count} ({count / kept:.1f} each)" if kept > 1 else f"{count}"


def _errors(arm: ArmSummary) -> str:
    share = arm.execution_errors / arm.code_blocks_executed if arm.code_blocks_executed else 0.0
    return f"{arm.execution_errors} ({share:.0%} of blocks)"
