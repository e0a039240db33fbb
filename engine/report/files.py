"""The JSON files of a run directory, all derived from its manifest and journal."""

from collections.abc import Iterator
from typing import Any

import msgspec

from engine.compare.claims.values import Ledger
from engine.errors import RunError
from engine.report.claims import claims_file, left_out, totals
from engine.report.costs import costs
from engine.report.replacing import Replacements
from engine.report.run import Run
from engine.transcript import Transcript

_FOLDER = "transcripts"


def write_files(run: Run, files: Replacements) -> None:
    """Write summary.json, claims.json and the transcripts, and what the run has beside them.

    model_comparison.json for several models, heritage.json where a phase grants documents.

    Raises:
        RunError: a file cannot be written.
    """
    _make_folder(run)
    for name, value in _contents(run):
        files.add(run.directory / name, _as_json(value))


def _contents(run: Run) -> Iterator[tuple[str, object]]:
    yield "summary.json", summary(run)
    if len(run.models) > 1:
        yield "model_comparison.json", model_comparison(run)
    yield "claims.json", claims_file(*_claims(run))
    if run.heritage:
        yield "heritage.json", run.heritage
    for transcript in run.transcripts:
        yield f"{_FOLDER}/{transcript.investigation.id}.json", transcript


def summary(run: Run) -> dict[str, Any]:
    """Return the counts of a run, per model and per investigation."""
    comparison = run.comparison
    return {
        "format": run.manifest.format,
        "run": run.manifest.run,
        "started": run.manifest.started,
        "sandbox_tier": run.manifest.sandbox.tier,
        "schedule": run.manifest.schedule,
        "verdict": comparison.verdict,
        "words": comparison.words,
        "primary": comparison.primary,
        "exclusions": comparison.exclusions,
        "costs": costs(run),
        "models": {arm.model: arm for arm in run.arms()},
        "introspection": {each.model: each for each in run.introspection},
        "investigations": run.measures,
    }


def model_comparison(run: Run) -> dict[str, Any]:
    """Return the arms side by side, with every conversation in full."""
    return {
        "format": run.manifest.format,
        "run": run.manifest.run,
        "phases": [phase.key for phase in run.manifest.phases],
        "seed": run.manifest.seed,
        "comparison": run.comparison,
        "claims": totals(*_claims(run)),
        "models": {
            arm.model: {
                **msgspec.to_builtins(arm),
                "investigations": run.measures_of(arm.model),
                "conversations": [_conversation(item) for item in run.transcripts_of(arm.model)],
            }
            for arm in run.arms()
        },
    }


def _make_folder(run: Run) -> None:
    path = run.directory / _FOLDER
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be made a folder ({error.strerror}). Move away what is in its place. "
            "The files in the run directory are as they were before."
        ) from error


def _claims(run: Run) -> tuple[dict[str, Ledger], dict[str, str], frozenset[str]]:
    """Return by id the ledger and the model of every investigation, and ids of those left out."""
    cases = [each.investigation for each in run.transcripts]
    ids = [case.id for case in cases]
    ledgers = dict(zip(ids, run.ledgers, strict=True))
    return ledgers, {case.id: case.model for case in cases}, left_out(run.cases())


def _conversation(transcript: Transcript) -> dict[str, Any]:
    case = transcript.investigation
    return {
        "investigation": case.id,
        "model": case.model,
        "phase": case.phase,
        "replicate": case.replicate,
        "seed": case.seed,
        "stop_reason": transcript.stop_reason,
        "messages": transcript.messages,
    }


def _as_json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
