"""A run as its report shows it: what the template and the script are given. Pure."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from engine.compare.claims.counts import ClaimCounts, total
from engine.compare.result import Comparison, Pair, Result, Scope, Series
from engine.manifest import Certificate
from engine.report.claims import left_out
from engine.report.heritage import Exposure, exposures
from engine.report.page.curves import over_turns, survival
from engine.report.page.drawing import Drawing
from engine.report.page.forest import forest
from engine.report.page.marks import address, claims_to_see, is_trouble, remarks
from engine.report.redaction import Redaction
from engine.report.run import Run
from engine.report.table import Table, sentences_of, tables_of

MOST_CLAIMS = 40
"""Claims that are listed outside of the transcripts."""
N_LOOKS = 6
"""Colours that tell arms apart; a seventh arm looks like the first."""
_STILL_PRODUCTIVE = (
    "share still productive at a turn: code ran to its end then or later, within the budget"
)


class Difference(msgspec.Struct, frozen=True):
    """One measure of a pair, and its drawing."""

    result: Result
    drawing: Drawing


class Beside(msgspec.Struct, frozen=True):
    """Two arms beside each other."""

    pair: Pair
    differences: tuple[Difference, ...]
    examples: tuple[str, ...]
    """Addresses of the turns that show where they part."""


class Curve(msgspec.Struct, frozen=True):
    """One behaviour over turns."""

    label: str
    drawing: Drawing


class Chapter(msgspec.Struct, frozen=True):
    """A scope of the comparison."""

    scope: Scope
    title: str
    pairs: tuple[Beside, ...]
    noise: tuple[Beside, ...]
    """The same model twice."""
    curves: tuple[Curve, ...]


class Purity(msgspec.Struct, frozen=True):
    """What was looked for in one phase before the run, and what arms saw in it."""

    phase: str
    certificate: Certificate | None
    n_chars: int
    n_impure: int
    n_investigations: int


class View(msgspec.Struct, frozen=True):
    """All that the page shows outside of transcripts."""

    run: Run
    comparison: Comparison
    looks: dict[str, str]
    started: str
    sentences: tuple[str, ...]
    """The verdict; none where there is one arm."""
    counts: Table
    """What became of the investigations, arm by arm."""
    chapters: tuple[Chapter, ...]
    claims: dict[str, ClaimCounts]
    """By model."""
    claims_to_see: tuple[tuple[str, str], ...]
    """(address, what is said of it) of claims that are contradicted or pretended."""
    documents: tuple[Exposure, ...]
    """What documents did to models; none where no phase grants any."""
    purity: tuple[Purity, ...]
    manifest: str
    """As JSON."""


def view_of(run: Run, redaction: Redaction) -> View:
    """Return `run` for the template, which redacts the texts that it prints."""
    comparison = run.comparison
    looks = {model: f"arm-{place % N_LOOKS}" for place, model in enumerate(run.models)}
    excluded = left_out(run.cases())
    ledgers = [
        (each.investigation, run.ledgers[n])
        for n, each in enumerate(run.measures)
        if each.investigation not in excluded
    ]
    manifest = redaction.value(run.manifest.model_dump(mode="json"))
    return View(
        run=run,
        comparison=comparison,
        looks=looks,
        started=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run.manifest.started)),
        sentences=sentences_of(comparison),
        counts=tables_of(run)[-1],
        chapters=tuple(_chapter(scope, looks) for scope in comparison.scopes),
        claims=_claims(run, excluded),
        claims_to_see=tuple(claims_to_see(ledgers, MOST_CLAIMS)),
        documents=exposures(run.heritage, run.manifest),
        purity=tuple(_purity(run)),
        manifest=msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode(),
    )


def index_of(run: Run, redaction: Redaction) -> dict[str, Any]:
    """Return what the script reads at once: a line per investigation."""
    return {
        "models": run.models,
        "phases": [phase.key for phase in run.manifest.phases],
        "items": [_item(run, place, redaction) for place in range(len(run.transcripts))],
    }


def _item(run: Run, place: int, redaction: Redaction) -> dict[str, Any]:
    transcript, measures = run.transcripts[place], run.measures[place]
    origin = transcript.origin
    return {
        "id": measures.investigation,
        "arm": run.models.index(measures.model) % N_LOOKS,
        "model": measures.model,
        "phase": measures.phase,
        "replicate": measures.replicate,
        "turns": measures.turns,
        "blocks": measures.code_blocks_executed,
        "errors": measures.execution_errors,
        "reason": measures.stop_reason,
        "marks": [redaction.text(text) for text in remarks(transcript, measures)],
        "trouble": is_trouble(measures),
        "origin": origin.investigation if origin else None,
    }


def _chapter(scope: Scope, looks: Mapping[str, str]) -> Chapter:
    besides = [_beside(pair) for pair in scope.pairs]
    return Chapter(
        scope=scope,
        title=scope.phase or "all phases together",
        pairs=tuple(each for each in besides if not each.pair.is_noise),
        noise=tuple(each for each in besides if each.pair.is_noise),
        curves=tuple(_curves(scope, looks)),
    )


def _beside(pair: Pair) -> Beside:
    example = pair.separation.example
    cases = (example.first, example.second) if example else ()
    return Beside(
        pair=pair,
        differences=tuple(Difference(result, forest(result)) for result in pair.results),
        examples=tuple(address(case, example.turn) for case in cases if example),
    )


def _curves(scope: Scope, looks: Mapping[str, str]) -> Iterator[Curve]:
    parting = next((pair.separation for pair in scope.pairs if not pair.is_noise), None)
    if any(each.steps for each in scope.survival):
        yield Curve(_STILL_PRODUCTIVE, survival(scope.survival, looks))
    for behaviour in dict.fromkeys(each.behaviour for each in scope.series):
        series = [each for each in scope.series if each.behaviour == behaviour]
        if _is_worth_drawing(series):
            yield Curve(series[0].label, over_turns(series, looks, parting))


def _is_worth_drawing(series: Sequence[Series]) -> bool:
    """Tell whether anything happened: a line at zero shows nothing."""
    return any(point.mean for each in series for point in each.points)


def _claims(run: Run, excluded: Collection[str]) -> dict[str, ClaimCounts]:
    counts = {
        model: total(
            each.claims for each in run.measures_of(model) if each.investigation not in excluded
        )
        for model in run.models
    }
    return counts if any(each.claims for each in counts.values()) else {}


def _purity(run: Run) -> Iterator[Purity]:
    for phase in run.manifest.phases:
        certificate = run.manifest.purity.get(phase.key)
        within = [each for each in run.measures if each.phase == phase.key]
        yield Purity(
            phase=phase.key,
            certificate=certificate,
            n_chars=sum(certificate.scanned.values()) if certificate else 0,
            n_impure=sum(not each.is_pure for each in within),
            n_investigations=len(within),
        )
