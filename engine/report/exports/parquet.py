"""Parquet tables, one file each: runs, investigations, turns, messages, executions, claims.

Needs pyarrow (extra `export`). Rows are written in groups as investigations are read, so that a
large run needs no more memory than a small one. Tables join on `run` and `investigation`, turns on
`turn` too (from 0).
"""

import importlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from engine.compare.catalogue import MEASURES
from engine.compare.claims.values import Claim
from engine.errors import NotReadyError
from engine.report.exports.conversation import conversation
from engine.report.exports.material import Material
from engine.report.exports.writing import encoded, whole_file
from engine.report.stream import Recorded
from engine.transcript import Turn

_ROWS = 5000
"""Rows of one group."""
Row = dict[str, object]
_KEY = {"run": "string", "model": "string", "investigation": "string"}
_SCHEMAS: dict[str, dict[str, str]] = {
    "runs": {
        "run": "string",
        "started": "double",
        "seed": "int64",
        "replicates": "int64",
        "serving": "string",
        "models": "string",
        "phases": "string",
        "sandbox_tier": "string",
        "manifest": "string",
    },
    "investigations": {
        **_KEY,
        "phase": "string",
        "replicate": "int64",
        "seed": "int64",
        "started": "double",
        "ended": "double",
        "stop_reason": "string",
        "detail": "string",
        "is_infrastructure": "bool",
        "is_pure": "bool",
        "is_censored": "bool",
        **{each.name: "double" for each in MEASURES},
    },
    "turns": {
        **_KEY,
        "turn": "int64",
        "experiment": "string",
        "seed": "int64",
        "action": "string",
        "finish_reason": "string",
        "sent": "double",
        "received": "double",
        "prompt_tokens": "int64",
        "completion_tokens": "int64",
        "cached_tokens": "int64",
        "n_executions": "int64",
        "n_errors": "int64",
        "reply": "string",
        "observation": "string",
    },
    "messages": {
        **_KEY,
        "position": "int64",
        "turn": "int64",
        "role": "string",
        "content": "string",
    },
    "executions": {
        **_KEY,
        "turn": "int64",
        "block": "int64",
        "code": "string",
        "output": "string",
        "error": "string",
        "error_message": "string",
        "duration_s": "double",
        "calls": "string",
    },
    "claims": {
        **_KEY,
        "turn": "int64",
        "is_in_finding": "bool",
        "start": "int64",
        "end": "int64",
        "kind": "string",
        "status": "string",
        "text": "string",
        "quantity": "string",
        "value": "double",
        "how": "string",
        "evidence": "string",
        "is_true": "bool",
    },
}


def write_parquet(material: Material, out: Path) -> list[Path]:
    """Write the tables into the folder `out`; return what was written.

    Raises:
        NotReadyError: pyarrow is not installed; names the extra.
        UsageError: a table cannot be written.
    """
    arrow = _arrow()
    with ExitStack() as stack:
        tables = {name: stack.enter_context(_table(arrow, out, name)) for name in _SCHEMAS}
        tables["runs"].add(_run(material))
        for each in material.recorded():
            case = each.transcript.investigation
            key = {"run": material.manifest.run, "model": case.model, "investigation": case.id}
            for name, rows in _ROWS_OF.items():
                for row in rows(each):
                    tables[name].add(key | row)
    return [out / f"{name}.parquet" for name in _SCHEMAS]


def _arrow() -> Any:  # noqa: ANN401 - pyarrow ships no types
    try:
        importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise NotReadyError(
            "Parquet tables need pyarrow, which is not installed. Run: scripts/install export in a "
            "copy of the project, else pip install 'phaselab[export]'"
        ) from error
    return importlib.import_module("pyarrow")


class _Table:
    """One table that is being written, group by group."""

    def __init__(self, arrow: Any, schema: Any, writer: Any) -> None:  # noqa: ANN401 - as above
        self._arrow, self._schema, self._writer = arrow, schema, writer
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Take one row into the next group."""
        self._rows.append(row)
        if len(self._rows) >= _ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        if self._rows:
            table = self._arrow.Table.from_pylist(self._rows, schema=self._schema)
            self._writer.write_table(table)
            self._rows = []


@contextmanager
def _table(arrow: Any, folder: Path, name: str) -> Generator[_Table]:  # noqa: ANN401 - as above
    fields = [(key, getattr(arrow, _TYPES[kind])()) for key, kind in _SCHEMAS[name].items()]
    schema = arrow.schema(fields)
    with (
        whole_file(folder / f"{name}.parquet") as file,
        arrow.parquet.ParquetWriter(file, schema) as writer,
    ):
        table = _Table(arrow, schema, writer)
        yield table
        table.flush()


_TYPES = {"string": "large_string", "int64": "int64", "double": "float64", "bool": "bool_"}


def _run(material: Material) -> Row:
    manifest = material.manifest
    return {
        "run": manifest.run,
        "started": manifest.started,
        "seed": manifest.seed,
        "replicates": manifest.replicates,
        "serving": manifest.serving,
        "models": ",".join(arm.model for arm in manifest.arms),
        "phases": ",".join(phase.key for phase in manifest.phases),
        "sandbox_tier": manifest.sandbox.tier,
        "manifest": manifest.model_dump_json(),
    }


def _investigations(recorded: Recorded) -> Iterator[Row]:
    transcript, measures = recorded.transcript, recorded.measures
    case = transcript.investigation
    row: Row = {
        "phase": case.phase,
        "replicate": case.replicate,
        "seed": case.seed,
        "started": transcript.started,
        "ended": transcript.ended,
        "stop_reason": transcript.stop_reason,
        "detail": transcript.detail,
        "is_infrastructure": measures.is_infrastructure,
        "is_pure": measures.is_pure,
        "is_censored": measures.is_censored,
    }
    for each in MEASURES:
        above, below = (amount(measures) for amount in each.ratio)
        row[each.name] = above / below if below else None
    yield row


def _turns(recorded: Recorded) -> Iterator[Row]:
    for turn in recorded.transcript.turns:
        completion = turn.completion
        yield {
            "turn": turn.index,
            "experiment": turn.experiment,
            "seed": turn.seed,
            "action": turn.action,
            "finish_reason": completion.finish_reason,
            "sent": completion.sent,
            "received": completion.received,
            "prompt_tokens": completion.usage.prompt_tokens,
            "completion_tokens": completion.usage.completion_tokens,
            "cached_tokens": completion.usage.cached_tokens,
            "n_executions": len(turn.executions),
            "n_errors": sum(each.error is not None for each in turn.executions),
            "reply": completion.text,
            "observation": turn.observation,
        }


def _messages(recorded: Recorded) -> Iterator[Row]:
    for position, said in enumerate(conversation(recorded.transcript)):
        turn = said.turn.index if said.turn else None
        yield {"position": position, "turn": turn, "role": said.role, "content": said.text}


def _executions(recorded: Recorded) -> Iterator[Row]:
    for turn in recorded.transcript.turns:
        yield from _of_turn(turn)


def _of_turn(turn: Turn) -> Iterator[Row]:
    for block, execution in enumerate(turn.executions):
        yield {
            "turn": turn.index,
            "block": block,
            "code": execution.code,
            "output": execution.output,
            "error": execution.error and execution.error.kind,
            "error_message": execution.error and execution.error.message,
            "duration_s": execution.duration_s,
            "calls": encoded(execution.calls).decode(),
        }


def _claims(recorded: Recorded) -> Iterator[Row]:
    for claim in recorded.ledger.claims:
        yield {
            "turn": claim.place.turn,
            "is_in_finding": claim.place.call is not None,
            "start": claim.place.start,
            "end": claim.place.end,
            "kind": claim.kind,
            "status": claim.status,
            "text": claim.text,
            "quantity": claim.quantity,
            "value": claim.value,
            "how": claim.how,
            "evidence": _evidence(claim),
            "is_true": claim.is_true,
        }


def _evidence(claim: Claim) -> str | None:
    return claim.source.shown if claim.source else None


_ROWS_OF: dict[str, Callable[[Recorded], Iterator[Row]]] = {
    "investigations": _investigations,
    "turns": _turns,
    "messages": _messages,
    "executions": _executions,
    "claims": _claims,
}
