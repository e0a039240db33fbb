"""Inspect's eval log as JSON: one log per model and phase, read by `inspect view` and its library.

A phase is a task, an investigation a sample, a replicate an epoch, a code block a call of the tool
`python`, a measure a score. A sample that saw what its condition hides is completed, and in no
total. Only fields that Inspect's reader documents are written.

Source: the log schema of inspect-ai 0.3.285 (`inspect log schema`), log version 2.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Literal, NamedTuple

from engine.compare.catalogue import MEASURES
from engine.compare.measures import Measures
from engine.manifest import Manifest
from engine.report.exports.inspect_sample import (
    Fields,
    error_fields,
    sample_of,
    timestamp,
    usage_fields,
)
from engine.report.exports.material import Material
from engine.report.exports.writing import encoded, whole_file
from engine.report.stream import Recorded
from engine.transcript import Usage

_VERSION = 2
Status = Literal["started", "success", "cancelled", "error"]
"""That of a log, as Inspect calls it; "started" and "cancelled" have samples that have not ended.

Source: inspect-ai, `EvalStatus` in log/_log.py, revision 020dd018.
"""


def write_inspect(material: Material, out: Path) -> list[Path]:
    """Write the logs into the folder `out`; return what was written.

    Raises:
        UsageError: one cannot be written.
    """
    logs: dict[tuple[str, str], _Log] = {}
    with ExitStack() as stack:
        for each in material.recorded():
            case = each.transcript.investigation
            key = (case.model, case.phase)
            if key not in logs:
                spool = stack.enter_context(TemporaryFile())
                logs[key] = _Log(material, *key, spool)
            logs[key].take(each)
        due = _due(material)
        return [log.write(out, due) for log in logs.values()]


class _Due(NamedTuple):
    """What was to be done, and what a log is called that lacks some of it."""

    n_samples: int
    unfinished: Status


def _due(material: Material) -> _Due:
    manifest, (n_investigations, end) = material.manifest, material.extent()
    n_begun = n_investigations // (len(manifest.arms) * len(manifest.phases))
    is_cut = end is None or end.is_interrupted
    return _Due(_n_due(manifest, n_begun, is_cut=is_cut), "cancelled" if end else "started")


def _n_due(manifest: Manifest, n_begun: int, *, is_cut: bool) -> int:
    """Return how many replicates an arm was to have; `n_begun`: those of the stages begun.

    Where a first stage was cut short, nobody knows how many a second one would have had.
    """
    if manifest.design.until_mde is None:
        return manifest.replicates
    is_open = is_cut and n_begun <= manifest.replicates
    return manifest.design.max_replicates if is_open else max(manifest.replicates, n_begun)


class _Log:
    """One log: samples go to a spool as they come, for what sums them up stands before them."""

    def __init__(self, material: Material, model: str, phase: str, spool: IO[bytes]) -> None:
        self._material, self._model, self._phase, self._spool = material, model, phase, spool
        self._measures: list[Measures] = []
        self._n_ended = 0
        self._usage = Usage()
        self._ends: list[float] = []
        self._epochs: set[tuple[str, int]] = set()

    def take(self, recorded: Recorded) -> None:
        """Write one sample."""
        usage = sum((turn.completion.usage for turn in recorded.transcript.turns), Usage())
        comma = b"," if self._measures else b""
        sample = sample_of(recorded, usage, self._identity(recorded))
        self._spool.write(comma + b"\n" + encoded(sample))
        self._measures.append(recorded.measures)
        self._n_ended += recorded.transcript.stop_reason is not None
        self._usage += usage
        self._ends.append(recorded.transcript.ended or recorded.transcript.started)

    def write(self, folder: Path, due: _Due) -> Path:
        """Write the log into `folder`; return its path."""
        path = folder / f"{_stamp(self._material)}_{self._phase}_{self._model}.json"
        self._spool.seek(0)
        with whole_file(path) as file:
            file.write(encoded(self._head(due))[:-1] + b',"samples":[')
            shutil.copyfileobj(self._spool, file)
            file.write(b"\n]}")
        return path

    def _head(self, due: _Due) -> Fields:
        done = [item for item in self._measures if not item.is_infrastructure]
        n_lost = self._n_ended - len(done)
        status = self._status(n_lost, due)
        lost = error_fields(f"{n_lost} ended by infrastructure")
        return {
            "version": _VERSION,
            "status": status,
            "eval": self._spec(),
            "plan": {"name": "investigation", "steps": []},
            "results": {
                "total_samples": len(self._measures),
                "completed_samples": len(done),
                "scores": list(_totals([item for item in done if item.is_pure])),
            },
            "stats": {
                "started_at": timestamp(self._material.manifest.started),
                "completed_at": "" if status == "started" else timestamp(max(self._ends)),
                "model_usage": {self._model: usage_fields(self._usage)},
            },
            **({"error": lost} if status == "error" else {}),
        }

    def _status(self, n_lost: int, due: _Due) -> Status:
        if self._n_ended < max(len(self._measures), due.n_samples):
            return due.unfinished
        return "error" if n_lost else "success"

    def _spec(self) -> Fields:
        manifest, arm = self._material.manifest, self._material.arm(self._model)
        phase = next(each for each in manifest.phases if each.key == self._phase)
        epochs = (epoch for _, epoch in self._epochs)
        return {
            "eval_id": f"{manifest.run}-{self._model}-{self._phase}",
            "run_id": manifest.run,
            "created": timestamp(manifest.started),
            "task": self._phase,
            "task_id": f"{manifest.run}-{self._phase}",
            "task_display_name": phase.title,
            "task_args": {"seed": manifest.seed, "replicates": manifest.replicates},
            "dataset": {"name": self._phase, "samples": 1, "sample_ids": [self._phase]},
            "model": self._model,
            "model_base_url": arm.url,
            "model_generate_config": {
                "temperature": phase.sampling.temperature,
                "top_p": phase.sampling.top_p,
                "max_tokens": phase.sampling.max_tokens,
            },
            "config": {"epochs": max(manifest.replicates, *epochs)},
            "packages": manifest.versions,
            "metadata": {
                "asks": phase.asks,
                "served_model": arm.served_model,
                "checkpoint_fingerprint": arm.checkpoint_fingerprint,
                "sandbox_tier": manifest.sandbox.tier,
                "capabilities": list(manifest.capabilities),
            },
        }

    def _identity(self, recorded: Recorded) -> Fields:
        """Return the sample's id and epoch: unique, also where forks repeat a replicate."""
        case = recorded.transcript.investigation
        name, epoch = case.phase, case.replicate + 1
        if (name, epoch) in self._epochs:
            name = case.id
        self._epochs.add((name, epoch))
        return {"id": name, "epoch": epoch, "uuid": f"{self._material.manifest.run}/{case.id}"}


def _totals(measures: list[Measures]) -> Iterator[Fields]:
    for each in MEASURES:
        above = sum(each.ratio[0](item) for item in measures)
        below = sum(each.ratio[1](item) for item in measures)
        if below:
            mean: Fields = {"name": "mean", "value": above / below}
            yield {
                "name": each.name,
                "scorer": each.name,
                "scored_samples": sum(bool(each.ratio[1](item)) for item in measures),
                "metrics": {"mean": mean},
                "metadata": {"label": each.label, "unit": each.unit},
            }


def _stamp(material: Material) -> str:
    """Return the begin of a log's name: by it Inspect's listing sorts."""
    return datetime.fromtimestamp(material.manifest.started, UTC).strftime("%Y-%m-%dT%H-%M-%S")
