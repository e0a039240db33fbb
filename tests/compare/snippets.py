"""The labelled texts as transcripts, and the counts of what the ledger says of them."""

import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from engine.compare.claims.ledger import ledger_of
from engine.compare.claims.truth import Truth
from engine.compare.claims.values import Claim
from engine.transcript import (
    Call,
    Completion,
    Execution,
    ExecutionError,
    Investigation,
    Transcript,
    Turn,
    Usage,
)

_FILE = tomllib.loads(Path(__file__).with_name("snippets.toml").read_text(encoding="utf-8"))


class Snippet(NamedTuple):
    """A text, what came before it, and the claims that a person sees in it."""

    name: str
    transcript: Transcript
    text: str
    labels: tuple[tuple[str, str, str], ...]
    """(text, kind, status)"""
    part: str
    is_held_out: bool


def execution_of(fields: dict[str, Any]) -> Execution:
    """Return the execution that an [evidence] table describes."""
    calls = ()
    if "method" in fields:
        arguments, answer = fields["arguments"], fields["answer"]
        calls = (Call(method=fields["method"], arguments=arguments, answer=answer),)
    error = ExecutionError(fields["error"], "") if "error" in fields else None
    return Execution(code=fields["code"], output=fields["output"], error=error, calls=calls)


def evidence(name: str) -> Execution:
    """Return the execution that is called so in the file."""
    return execution_of(_FILE["evidence"][name])


def turn_of(index: int, text: str, executions: tuple[Execution, ...] = ()) -> Turn:
    """Return a turn of `text` and what it caused."""
    completion = Completion(text=text, finish_reason="stop", usage=Usage(), sent=0.0, received=1.0)
    return Turn(
        index=index,
        experiment="e",
        seed=1,
        completion=completion,
        action="run_code",
        executions=executions,
    )


def transcript_of(turns: tuple[Turn, ...]) -> Transcript:
    """Return an investigation of these turns."""
    case = Investigation(id="m-p-r0", model="m", phase="p", replicate=0, seed=1)
    return Transcript(investigation=case, started=0.0, turns=turns)


def claims_after(text: str, *before: Execution, truth: Truth | None = None) -> list[Claim]:
    """Return the claims of a reply that comes after one turn for each of `before`."""
    turns = [turn_of(index, "", (each,)) for index, each in enumerate(before)]
    transcript = transcript_of((*turns, turn_of(len(turns), text)))
    return [each for each in ledger_of(transcript, truth).claims if each.place.turn == len(turns)]


def _snippet(fields: dict[str, Any]) -> Snippet:
    before = [evidence(name) for name in fields["before"]]
    turns = [turn_of(index, "", (each,)) for index, each in enumerate(before)]
    runs = tuple(evidence(name) for name in fields.get("runs", ()))
    turns.append(turn_of(len(turns), fields["reply"], runs))
    part = fields.get("part", "reply")
    finding = runs[0].calls[0].arguments["description"] if part == "finding" else ""
    return Snippet(
        name=fields["name"],
        transcript=transcript_of(tuple(turns)),
        text=str(finding) or fields["reply"],
        labels=tuple((text, kind, status) for text, kind, status in fields["claims"]),
        part=part,
        is_held_out=fields.get("held_out", False),
    )


SNIPPETS = tuple(map(_snippet, _FILE["snippet"]))


class Score(NamedTuple):
    """How many claims were found as labelled, and how many were to be found."""

    n_right: int
    n_found: int
    n_labelled: int
    wrong: tuple[str, ...]

    @property
    def precision(self) -> float:
        """Share of what the ledger says that is labelled so."""
        return self.n_right / self.n_found if self.n_found else 1.0

    @property
    def recall(self) -> float:
        """Share of what is labelled that the ledger says."""
        return self.n_right / self.n_labelled if self.n_labelled else 1.0


def score(snippets: tuple[Snippet, ...], kind: str = "all") -> Score:
    """Compare the ledger with the labels of `snippets`; `kind`: only these claims."""
    n_right = n_found = n_labelled = 0
    wrong: list[str] = []
    for snippet in snippets:
        found = Counter(_key(claim, snippet) for claim in _claims(snippet))
        labelled = Counter(snippet.labels)
        if kind != "all":
            found = Counter({key: n for key, n in found.items() if key[1] == kind})
            labelled = Counter({key: n for key, n in labelled.items() if key[1] == kind})
        right = found & labelled
        n_right += right.total()
        n_found += found.total()
        n_labelled += labelled.total()
        wrong += [f"{snippet.name}: said {key}" for key in found - right]
        wrong += [f"{snippet.name}: missed {key}" for key in labelled - right]
    return Score(n_right, n_found, n_labelled, tuple(wrong))


def _claims(snippet: Snippet) -> list[Claim]:
    last = len(snippet.transcript.turns) - 1
    is_finding = snippet.part == "finding"
    return [
        claim
        for claim in ledger_of(snippet.transcript).claims
        if claim.place.turn == last and (claim.place.call is not None) == is_finding
    ]


def _key(claim: Claim, snippet: Snippet) -> tuple[str, str, str]:
    """Return the label that a claim agrees with: an action needs to overlap it only."""
    at = claim.place
    assert snippet.text[at.start : at.end] == claim.text
    if claim.kind == "action":
        for text, kind, _ in snippet.labels:
            start = snippet.text.find(text)
            if kind == "action" and max(start, at.start) < min(start + len(text), at.end):
                return text, claim.kind, claim.status
    return claim.text, claim.kind, claim.status
