"""Remarks on investigations and turns: where they part, branched, saw too much. Pure."""

from collections.abc import Iterator, Sequence

import msgspec

from engine.compare.measures import Measures
from engine.compare.result import Comparison, Separation
from engine.transcript import Transcript


class Mark(msgspec.Struct, frozen=True):
    """A remark on one turn."""

    key: str
    """Address of the turn, see `address`."""
    kind: str
    """Its class: "parting", "origin", "leak", or the status of a claim."""
    text: str


def address(investigation: str, turn: int) -> str:
    """Return what stands behind the # of a permalink; `turn` from 0, people count from 1."""
    return f"{investigation}/{turn + 1}"


def remarks(transcript: Transcript, measures: Measures) -> tuple[str, ...]:
    """Return what is to be known of one investigation as a whole."""
    return tuple(_remarks(transcript, measures))


def _remarks(transcript: Transcript, measures: Measures) -> Iterator[str]:
    if measures.is_infrastructure:
        detail = f": {measures.detail}" if measures.detail else ""
        ended = "ended by infrastructure" if measures.stop_reason else "not finished"
        yield f"{ended}{detail}; in no figure"
    if not measures.is_pure:
        yield "saw what its condition hides; in no figure"
    times = len(measures.revivals)
    if times:
        exact = "diverged" not in measures.revivals
        how = "its namespace came back exactly" if exact else "its namespace diverged"
        yield f"taken up again {'once' if times == 1 else f'{times} times'}: {how}"
    origin = transcript.origin
    if origin:
        yield _branched(transcript)


def _branched(transcript: Transcript) -> str:
    origin = transcript.origin
    assert origin is not None
    where = f" of run {origin.run}" if origin.run else ""
    changes = ", ".join(f"{name} = {value}" for name, value in origin.changes.items())
    exact = {True: "exactly", False: "but its namespace diverged", None: "not taken up yet"}
    return (
        f"branched off {origin.investigation}{where} after {origin.n_turns} turns "
        f"({changes or 'nothing changed'}), {exact[origin.is_exact]}"
    )


def turn_marks(
    transcripts: Sequence[Transcript],
    measures: Sequence[Measures],
    comparison: Comparison,
) -> tuple[Mark, ...]:
    """Return the remarks on turns of all investigations."""
    found = [mark for each in transcripts for mark in _beginning(each)]
    found += [mark for each in measures for mark in _leaks(each)]
    return (*found, *_partings(comparison))


def _beginning(transcript: Transcript) -> Iterator[Mark]:
    origin = transcript.origin
    if origin and origin.n_turns < len(transcript.turns):
        case = transcript.investigation.id
        text = f"from here on it is its own; all before it is shared with {origin.investigation}"
        yield Mark(address(case, origin.n_turns), "origin", text)


def _leaks(measures: Measures) -> Iterator[Mark]:
    for leak in measures.leaks:
        if leak.turn is not None:
            text = f"sees what its condition hides ({leak.place}): {leak.excerpt}"
            yield Mark(address(measures.investigation, leak.turn), "leak", text)


def _partings(comparison: Comparison) -> Iterator[Mark]:
    told: set[str] = set()
    pairs = [pair for scope in comparison.scopes for pair in scope.pairs if not pair.is_noise]
    for pair in pairs:
        for mark in _parting(pair.separation, f"{pair.first} and {pair.second}"):
            if mark.key not in told:
                told.add(mark.key)
                yield mark


def _parting(found: Separation, names: str) -> Iterator[Mark]:
    if found.example and found.label:
        text = f"an example of where {names} part: {found.label}"
        for case in (found.example.first, found.example.second):
            yield Mark(address(case, found.example.turn), "parting", text)
