"""`phases`: the experimental conditions that there are, one of them whole, and one of your own."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from engine.cli.certify import certificate_of, in_words
from engine.cli.console import emit, emit_json, emit_table
from engine.cli.exit_codes import DONE, FAILED
from engine.phase import Phase, Requirements
from phases.load import get_phase, list_phases, load_phase

Json = Annotated[bool, Parameter(name="--json", negative="")]

app = App(name="phases", help="List the experimental conditions.", help_format="plaintext")


@app.default
def phases(*, as_json: Json = False) -> None:
    """List the experimental conditions.

    Parameters
    ----------
    as_json
        Print them whole, as JSON by key.
    """
    found = [get_phase(key) for key in list_phases()]
    if as_json:
        emit_json({phase.key: phase.model_dump() for phase in found})
    else:
        emit_table(_table(found))


@app.command
def show(key: str, /, *, as_json: Json = False) -> None:
    """Show one condition: what it grants and when, and every prompt.

    Parameters
    ----------
    key
        Key of the phase.
    as_json
        Print it as JSON.
    """
    _show(get_phase(key), as_json=as_json)


@app.command
def check(folder: Path, /, *, as_json: Json = False) -> int:
    """Read a phase of your own, and show it as it would run.

    Exit code 2 when it is malformed, 1 when it shows what it must not.

    Parameters
    ----------
    folder
        Directory with a phase.toml and the prompts that it names.
    as_json
        Print it as JSON.
    """
    return DONE if _show(load_phase(folder), as_json=as_json) else FAILED


def _show(phase: Phase, *, as_json: bool) -> bool:
    """Print a phase; tell whether it is pure."""
    certificate = certificate_of(phase)
    if as_json:
        emit_json(phase.model_dump() | {"purity": certificate.model_dump()})
    else:
        emit("\n".join([*_head(phase), f"purity: {in_words(certificate)}", *_stages(phase)]))
    return not certificate.leaks


def _head(phase: Phase) -> list[str]:
    sampling = ", ".join(f"{name} {value}" for name, value in phase.sampling)
    budget = _limits(
        turns=phase.max_turns_total, tokens=phase.max_tokens_total, seconds=phase.max_seconds
    )
    rules = phase.rules
    return [
        f"{phase.key}: {phase.title}",
        phase.asks,
        "",
        f"capabilities: {', '.join(phase.capabilities)}",
        f"heritage: {_heritage(phase)}",
        f"sampling: {sampling}",
        f"budget of an investigation: {budget or 'that of its experiments'}",
        f"ends by: {rules.done_signal} printed, or one of: {', '.join(rules.done_phrases)}",
    ]


def _limits(**limits: float | None) -> str:
    return ", ".join(f"{limit:,} {name}" for name, limit in limits.items() if limit)


def _heritage(phase: Phase) -> str:
    if not phase.heritage:
        return "never"
    kind = {"true": "on the subject of the study", "wrong": "on another subject"}
    return f"documents {kind[phase.heritage.documents]}, from {phase.heritage.begins!r} on"


def _stages(phase: Phase) -> list[str]:
    lines: list[str] = []
    for place, stage in enumerate(phase.experiments, 1):
        budget = _limits(turns=stage.max_turns, tokens=stage.max_tokens, seconds=stage.max_seconds)
        code = f"at most {budget}" if stage.has_code else "one reply, no code"
        required = _required(stage.requires)
        needs = f"; requires {required}" if required else ""
        lines += ["", f"{place}. {stage.name}: {code}{needs}", "", stage.prompt.strip()]
        if stage.prompt_on_documents:
            lines += ["", "with documents:", "", stage.prompt_on_documents.strip()]
    return lines


def _required(requires: Requirements) -> str:
    asked = {"code blocks": requires.min_code_blocks, "findings": requires.min_findings}
    return ", ".join(f"{name} {n}" for name, n in asked.items() if n)


def _table(found: list[Phase]) -> Table:
    columns = ("phase", "experiments", "turns", "code", "heritage", "asks")
    table = Table(*columns, box=None, pad_edge=False)
    for phase in found:
        stages = phase.experiments
        table.add_row(
            phase.key,
            ", ".join(stage.name for stage in stages),
            "+".join(str(stage.max_turns if stage.has_code else 1) for stage in stages),
            "/".join("on" if stage.has_code else "off" for stage in stages),
            f"{phase.heritage.documents}, {phase.heritage.begins}" if phase.heritage else "never",
            phase.asks,
        )
    return table
