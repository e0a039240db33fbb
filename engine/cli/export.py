"""`export RUN --format F`: a run for other programs: Inspect, Hugging Face, pandas, OTel."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from cyclopts import Parameter

from engine.cli.access import credentials_of
from engine.cli.console import emit_json, say
from engine.cli.options import Repeatable
from engine.errors import UsageError
from engine.manifest import read_manifest
from engine.report.exports.chat import write_chat
from engine.report.exports.inspect_log import write_inspect
from engine.report.exports.material import Material, material_of
from engine.report.exports.otel import write_otel
from engine.report.exports.parquet import write_parquet
from engine.report.exports.sts import write_sts

Format = Literal["inspect", "sts", "chat", "parquet", "otel"]


class _Kind(NamedTuple):
    write: Callable[[Material, Path], list[Path]]
    place: str
    """Where it goes in the run directory: a file has an ending, a folder has none."""
    opens_in: str


_KINDS: dict[str, _Kind] = {
    "inspect": _Kind(write_inspect, "inspect", "inspect view --log-dir {out}"),
    "sts": _Kind(write_sts, "sts", "the trace viewer of the Hugging Face hub: upload the folder"),
    "chat": _Kind(write_chat, "chat.jsonl", "datasets, TRL, fine-tuning APIs"),
    "parquet": _Kind(write_parquet, "parquet", "pandas, polars, duckdb, the Hugging Face hub"),
    "otel": _Kind(write_otel, "otel.jsonl", "an OpenTelemetry collector (otlpjsonfile receiver)"),
}


def export(
    run: Path,
    /,
    *,
    format: Format,  # noqa: A002 - the flag is called so
    out: Path | None = None,
    model: Annotated[tuple[str, ...], Repeatable] = (),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Write a run in a format that other programs read. Secrets and local paths are taken out.

    Parameters
    ----------
    run
        Run directory, finished or not.
    format
        inspect: eval logs for Inspect, one per model and phase (folder). sts: session traces for
        the Hugging Face hub, one per investigation (folder). chat: conversations as OpenAI's chat
        JSONL (file). parquet: tables of investigations, turns, messages, executions and claims
        (folder; needs the extra `export`). otel: OpenTelemetry spans as OTLP JSON lines (file).
    out
        File or folder to write; default: `exports/` in the run directory.
    model
        Only this arm. Repeatable.
    as_json
        Print the files that were written as JSON.
    """
    kind = _KINDS[format]
    place = out or run / "exports" / kind.place
    _check(place, is_file="." in kind.place)
    secrets = credentials_of(read_manifest(run).arms)
    written = kind.write(material_of(run, model, secrets), place)
    if not written:
        say("nothing was exported: this run has recorded nothing yet that the format could hold.")
    if as_json:
        emit_json({"format": format, "files": [str(path) for path in written]})
    elif written:
        say(f"{len(written)} {'file' if len(written) == 1 else 'files'}: {place}")
        say(f"opens in: {kind.opens_in.format(out=place)}")


def _check(place: Path, *, is_file: bool) -> None:
    try:
        is_there, is_folder = place.exists(), place.is_dir()
    except OSError as error:
        reason = f"--out {place}: cannot be written ({error.strerror}). Name another place."
        raise UsageError(reason) from error
    if is_file and is_folder:
        raise UsageError(f"--out {place}: is a folder; this format is one file.")
    if not is_file and is_there and not is_folder:
        raise UsageError(f"--out {place}: is a file; this format is a folder of files.")
