"""Remarks on investigations and turns: where they part, branched, saw too much. Pure."""

from collections.abc import Iterator, Sequence

import msgspec

from engine.compare.claims.values import Claim, Ledger
from engine.compare.measures import Measures
from engine.compare.result import Comparison, Pair
from engine.transcript import Origin, Transcript

PARTING, ORIGIN, REVIVAL, LEAK = "parting", "origin", "revival", "leak"
"""Kinds of remarks; those on claims have the status of the claim."""
GROUNDED = "grounded"
_HOW = {True: "exactly", False: "but its namespace diverged", None: "and has not gone on yet"}


class Mark(msgspec.Struct, frozen=True):
    """A remark on one turn."""

    turn: int
    """From 0."""
    kind: str
    text: str


def address(investigation: str, turn: int) -> str:
    """Return what stands behind the # of a permalink; `turn` from 0, people count from 1."""
    return f"{investigation}/{turn + 1}"


def is_trouble(measures: Measures) -> bool:
    """Tell whether something went wrong that its reader has to know."""
    is_diverged = "diverged" in measures.revivals
    return measures.is_infrastructure or is_diverged or not measures.is_pure


def remarks(transcript: Transcript, measures: Measures) -> Iterator[str]:
    """Yield what is to be known of one investigation as a whole."""
    if measures.is_infrastructure:
        detail = f": {measures.detail}" if measures.detail else ""
        ended = "ended by infrastructure" if measures.stop_reason else "not finished"
        yield f"{ended}{detail}; in no figure"
    if not measures.is_pure:
        yield "saw what its condition hides; in no figure"
    if measures.revivals:
        is_exact = "diverged" not in measures.revivals
        times = len(measures.revivals)
        how = "its namespace came back exactly" if is_exact else "its namespace diverged"
        yield f"taken up again {'once' if times == 1 else f'{times} times'}: {how}"
    if transcript.origin:
        yield _branched(transcript.origin)


def _branched(origin: Origin) -> str:
    where = f" of run {origin.run}" if origin.run else ""
    changes = ", ".join(f"{name} = {value}" for name, value in origin.changes.items())
    what = changes or ("nothing changed" if origin.run else "a shared beginning")
    return (
        f"branched off {origin.investigation}{where} after {origin.n_turns} turns ({what}), "
        f"{_HOW[origin.is_exact]}"
    )


def marks_of(
    transcript: Transcript, measures: Measures, ledger: Ledger, comparison: Comparison
) -> tuple[Mark, ...]:
    """Return the remarks on turns of one investigation."""
    return (
        *_beginning(transcript),
        *_revivals(transcript),
        *_leaks(measures),
        *_partings(transcript.investigation.id, comparison),
        *(Mark(claim.place.turn, claim.status, said_of(claim)) for claim in ledger.claims),
    )


def _beginning(transcript: Transcript) -> Iterator[Mark]:
    origin = transcript.origin
    if origin and origin.n_turns < len(transcript.turns):
        text = f"from here on it is its own; all before it is shared with {origin.investigation}"
        yield Mark(origin.n_turns, ORIGIN, text)


def _revivals(transcript: Transcript) -> Iterator[Mark]:
    for how, turn in zip(transcript.revivals, transcript.revived_before, strict=True):
        came = "exactly as it was" if how == "exact" else "otherwise than it was"
        yield Mark(
            turn, REVIVAL, f"taken up again before this turn; the namespace came back {came}"
        )


def _leaks(measures: Measures) -> Iterator[Mark]:
    for leak in measures.leaks:
        if leak.turn is not None:
            text = f"sees what its condition hides ({leak.place}): {leak.excerpt}"
            yield Mark(leak.turn, LEAK, text)


def _partings(investigation: str, comparison: Comparison) -> Iterator[Mark]:
    pairs = [pair for scope in comparison.scopes for pair in scope.pairs if not pair.is_noise]
    yield from dict.fromkeys(mark for pair in pairs for mark in _parting(investigation, pair))


def _parting(investigation: str, pair: Pair) -> Iterator[Mark]:
    example = pair.separation.example
    if example and investigation in {example.first, example.second}:
        names = f"{pair.first} and {pair.second}"
        text = f"an example of where {names} part, in {pair.separation.label}"
        yield Mark(example.turn, PARTING, text)


def said_of(claim: Claim) -> str:
    """Return what the ledger says of a claim."""
    about = f" ({claim.quantity})" if claim.quantity else ""
    return f"\N{LEFT DOUBLE QUOTATION MARK}{claim.text}\N{RIGHT DOUBLE QUOTATION MARK}{about}: " + (
        ", ".join(_verdicts(claim))
    )


def _verdicts(claim: Claim) -> Iterator[str]:
    shown = f"turn {claim.source.turn + 1} shows {claim.source.shown}" if claim.source else ""
    match claim.status:
        case "grounded":
            yield claim.how or "seen"
        case "contradicted":
            yield f"contradicted: {shown}" if shown else "contradicted"
        case "unmeasured":
            yield "never measured"
        case "pretended":
            yield "pretended: it did no such thing"
    if claim.is_true is not None:
        yield "true by the checkpoint" if claim.is_true else "wrong by the checkpoint"


def claims_to_see(run_ledgers: Sequence[tuple[str, Ledger]], most: int) -> list[tuple[str, str]]:
    """Return at most `most` claims that are contradicted or pretended: (address, what is said)."""
    found = [
        (address(investigation, claim.place.turn), said_of(claim))
        for investigation, ledger in run_ledgers
        for claim in ledger.claims
        if claim.status in {"contradicted", "pretended"}
    ]
    return found[:most]
