"""The investigations of a run one by one: memory for those that ran at the same time, no more."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from engine.compare.claims.counts import counts_of as claim_counts_of
from engine.compare.claims.ledger import ledger_of
from engine.compare.claims.values import Ledger
from engine.compare.measures import Measures, measure
from engine.events import AnyEvent
from engine.fold import transcripts
from engine.journal import read_events
from engine.manifest import Manifest
from engine.report.claims import truths_of
from engine.report.design import n_functions
from engine.report.purity import leaks_by_id, read_secrets
from engine.report.redaction import Redaction
from engine.report.run import check_named
from engine.transcript import Transcript

_BATCH = 8
"""Investigations that are scanned for leaks together: what is hidden is prepared once for them."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One investigation with all that is derived from it."""

    transcript: Transcript
    measures: Measures
    ledger: Ledger


def recorded_in(directory: Path, manifest: Manifest, redaction: Redaction) -> Iterator[Recorded]:
    """Yield the investigations of a run in the order of their ends, redacted.

    Raises:
        UsageError: the journal cannot be read, or is of another run than the manifest.
    """
    secrets, truths, granted = read_secrets(directory), truths_of(manifest), n_functions(manifest)
    found = _transcripts_in(directory / "events.jsonl")
    while batch := tuple(islice(found, _BATCH)):
        leaks = leaks_by_id(manifest, batch, secrets)
        for each in batch:
            case, transcript = each.investigation, redacted(each, redaction)
            check_named((transcript,), manifest, directory)
            ledger = ledger_of(transcript, truths.get(case.model))
            yield Recorded(
                transcript=transcript,
                measures=measure(
                    transcript,
                    leaks[case.id],
                    granted.get(case.phase),
                    claims=claim_counts_of(ledger),
                ),
                ledger=ledger,
            )


def redacted(transcript: Transcript, redaction: Redaction) -> Transcript:
    """Return a transcript without secrets and local paths in any of its texts."""
    value = redaction.value(msgspec.to_builtins(transcript))
    return msgspec.convert(value, Transcript)


def _transcripts_in(path: Path) -> Iterator[Transcript]:
    """Yield each transcript at the last event of its investigation."""
    last = _last_events(path)
    begun: defaultdict[str, list[AnyEvent]] = defaultdict(list[AnyEvent])
    for number, event in enumerate(read_events(path)):
        name = getattr(event, "investigation", None)
        if name is not None:
            begun[name].append(event)
            if last[name] == number:
                yield from transcripts(begun.pop(name))


def _last_events(path: Path) -> dict[str, int]:
    """Return by investigation the place of its last event in the journal."""
    return {
        name: number
        for number, event in enumerate(read_events(path))
        if (name := getattr(event, "investigation", None)) is not None
    }
