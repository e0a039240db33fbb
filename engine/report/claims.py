"""What the models of a run claimed, beside what was recorded: one ledger per investigation."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from engine.compare.cases import Case, exclusion_of
from engine.compare.claims.counts import ClaimCounts, counts_of, total
from engine.compare.claims.ledger import ledger_of
from engine.compare.claims.truth import Truth
from engine.compare.claims.values import Ledger
from engine.manifest import Manifest
from engine.transcript import Transcript


def truths_of(manifest: Manifest) -> dict[str, Truth]:
    """Return by model what its checkpoint says, for those whose checkpoint could be read."""
    return {
        arm.model: Truth(figures=arm.facts.figures, names=frozenset(arm.facts.names))
        for arm in manifest.arms
        if arm.facts
    }


def ledgers_of(manifest: Manifest, transcripts: Iterable[Transcript]) -> tuple[Ledger, ...]:
    """Return the ledger of each transcript, in their order."""
    truths = truths_of(manifest)
    return tuple(ledger_of(each, truths.get(each.investigation.model)) for each in transcripts)


def left_out(cases: Iterable[Case]) -> frozenset[str]:
    """Return the ids of the investigations that are in no figure."""
    return frozenset(found.investigation for case in cases if (found := exclusion_of(case)))


def claims_file(
    ledgers: Mapping[str, Ledger], models: Mapping[str, str], excluded: Collection[str]
) -> dict[str, Any]:
    """Return what claims.json holds: totals per model, then every claim of each investigation.

    `ledgers` and `models`: by the id of an investigation; `excluded`: ids of those in no total.
    """
    return {
        "models": totals(ledgers, models, excluded),
        "investigations": {
            name: {"counts": counts_of(ledger), "claims": ledger.claims}
            for name, ledger in ledgers.items()
        },
    }


def totals(
    ledgers: Mapping[str, Ledger], models: Mapping[str, str], excluded: Collection[str]
) -> dict[str, ClaimCounts]:
    """Return the counts per model, without those of the investigations that are `excluded`."""
    kept = ledgers.keys() - excluded
    return {
        model: total(counts_of(ledgers[name]) for name in kept if models[name] == model)
        for model in dict.fromkeys(models.values())
    }
