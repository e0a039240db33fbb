"""What documents did to the models of a run: echo by phase and model, and revised findings."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.compare.echo import Echo, Sets, echoes_of
from engine.compare.measures import Measures
from engine.compare.revision import Revision, revision_of
from engine.manifest import Manifest
from engine.phase import Phase
from engine.purity import Secrets
from engine.transcript import Transcript


class Exposure(msgspec.Struct, frozen=True, kw_only=True):
    """What the documents did to one model in one phase, over its investigations."""

    phase: str
    granted: str | None
    """The set of documents that the phase grants; None: it grants none, and shows chance."""
    model: str
    echoes: tuple[Echo, ...]
    """One for each set of documents of the run."""
    revision: dict[str, int] | None
    """What became of findings made before the documents; None: there were none to revise."""


def exposures(found: dict[str, Any] | None, manifest: Manifest) -> tuple[Exposure, ...]:
    """Return by phase and model what documents did; nothing where no phase grants any.

    `found`: what heritage.json holds.
    """
    phases = {phase.key: phase.heritage for phase in manifest.phases}
    totals: dict[str, dict[str, dict[str, Any]]] = found["phases"] if found else {}
    return tuple(
        Exposure(
            phase=key,
            granted=heritage.documents if (heritage := phases[key]) else None,
            model=model,
            echoes=tuple(total["echo"].values()),
            revision=total["revision"],
        )
        for key, models in totals.items()
        for model, total in models.items()
    )


def heritage_file(
    manifest: Manifest,
    transcripts: Sequence[Transcript],
    measures: Sequence[Measures],
    secrets: Secrets | None,
) -> dict[str, Any] | None:
    """Return what heritage.json holds; None: no phase of the run grants documents.

    Phases without documents are in it too: what they show is the level without exposure.
    Investigations that infrastructure ended, or that saw what they must not, are left out.
    """
    phases = {phase.key: phase for phase in manifest.phases}
    if secrets is None or not any(phase.heritage for phase in phases.values()):
        return None
    kept = [
        transcript
        for transcript, measured in zip(transcripts, measures, strict=True)
        if measured.is_pure and not measured.is_infrastructure
    ]
    documents = Sets(secrets.documents)
    found = {each.investigation.id: _of(each, phases, documents) for each in kept}
    return {"phases": _totals(kept, found), "investigations": found}


def _of(transcript: Transcript, phases: Mapping[str, Phase], documents: Sets) -> dict[str, Any]:
    phase = phases[transcript.investigation.phase]
    revision = revision_of(transcript, later_experiments(phase))
    return {
        "echo": {each.documents: each for each in echoes_of(transcript, documents)},
        "revision": revision and {"counts": revision.counts(), **_told(revision)},
    }


def later_experiments(phase: Phase) -> tuple[str, ...]:
    """Return the experiments that have documents, where earlier ones have none."""
    names = [each.name for each in phase.experiments if phase.has_heritage(each.name)]
    return tuple(names) if len(names) < len(phase.experiments) else ()


def _told(revision: Revision) -> dict[str, Any]:
    return {"findings": revision.findings, "new": revision.new}


def _totals(
    transcripts: Sequence[Transcript], found: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return by phase and model the sums over investigations."""
    totals: dict[str, dict[str, Any]] = {}
    for each in transcripts:
        case = each.investigation
        one, models = found[case.id], totals.setdefault(case.phase, {})
        known = models.get(case.model)
        models[case.model] = _sum(known, one) if known else _first(one)
    return totals


def _first(one: dict[str, Any]) -> dict[str, Any]:
    revision = one["revision"]
    return {"echo": one["echo"], "revision": revision and revision["counts"]}


def _sum(known: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    more = _first(one)
    echo: dict[str, Echo] = {
        kind: known["echo"][kind] + more["echo"][kind] for kind in known["echo"]
    }
    counts: list[dict[str, int]] = [
        each for each in (known["revision"], more["revision"]) if each is not None
    ]
    summed = {name: sum(each[name] for each in counts) for name in counts[0]} if counts else None
    return {"echo": echo, "revision": summed}
