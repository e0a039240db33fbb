"""Transcript -> ledger: every claim beside what was recorded before it was made. Pure."""

import re
from collections.abc import Iterator

from engine.compare.claims.assertions import Reading
from engine.compare.claims.deeds import Deeds, deed_claims
from engine.compare.claims.evidence import Evidence
from engine.compare.claims.judging import Judge, Verdict
from engine.compare.claims.naming import name_claims, name_verdict
from engine.compare.claims.numbers import NumberClaim, number_claims
from engine.compare.claims.prose import MOST_CHARS, Prose, prose_of
from engine.compare.claims.subjects import names_in
from engine.compare.claims.truth import Truth
from engine.compare.claims.values import Claim, Ledger, Place
from engine.compare.own_turns import first_own_turn
from engine.compare.told import told_in
from engine.requirements import FINDING_CALL
from engine.transcript import Execution, Transcript, Turn


def ledger_of(transcript: Transcript, truth: Truth | None = None) -> Ledger:
    """Return all claims in the replies and findings of an investigation.

    A text is compared with what earlier turns showed: the model wrote it, code and all, before its
    own code ran. A number in a finding that stands in no code was computed: that grounds it. Claims
    from before a fork are those of the run that was forked; what was shown there is evidence.
    `truth`: of the checkpoint, where that is known.
    """
    first = first_own_turn(transcript)
    claims = _Course(transcript, truth).claims()
    return Ledger(claims=tuple(claim for claim in claims if claim.place.turn >= first))


def own_text(transcript: Transcript, place: int) -> str:
    """Return the reply of the turn at `place` as far as it is the model's own part."""
    replies = [each.content for each in transcript.messages if each.role == "assistant"]
    text = transcript.turns[place].completion.text
    return replies[place] if place < len(replies) else text


class _Course:
    def __init__(self, transcript: Transcript, truth: Truth | None) -> None:
        self._turns = transcript.turns
        replies = [each.content for each in transcript.messages if each.role == "assistant"]
        self._replies = replies if len(replies) == len(transcript.turns) else None
        self._truth = truth
        self._named = [
            (told.turn, named.name) for told in told_in(transcript) for named in names_in(told.text)
        ]
        self._told = frozenset[str]()
        self._evidence, self._deeds, self._code = Evidence(), Deeds(), ""

    def claims(self) -> Iterator[Claim]:
        for number, turn in enumerate(self._turns):
            text = self._replies[number] if self._replies else turn.completion.text
            self._told = frozenset(name for place, name in self._named if place <= turn.index)
            self._deeds.take(turn.index, turn.executions)
            yield from self._of_text(
                Reading(prose_of(text)), Place(turn=turn.index, start=0, end=0)
            )
            yield from self._of_findings(turn)
            self._evidence.take(turn.index, turn.executions)

    def _of_findings(self, turn: Turn) -> Iterator[Claim]:
        for number, execution in enumerate(turn.executions):
            self._code += execution.code + "\n"
            for place, text in _findings(execution):
                at = Place(turn=turn.index, execution=number, call=place, start=0, end=0)
                yield from self._of_text(Reading(Prose(text[:MOST_CHARS])), at)

    def _of_text(self, reading: Reading, at: Place) -> Iterator[Claim]:
        found = [*self._numbers(reading, at), *self._names(reading, at)]
        if at.call is None:
            found += self._actions(reading, at)
        yield from sorted(found, key=lambda claim: (claim.place.start, claim.place.end))

    def _numbers(self, reading: Reading, at: Place) -> Iterator[Claim]:
        judge = Judge(self._evidence)
        for claim in number_claims(reading):
            verdict = self._computed(judge.verdict(claim), claim, at)
            yield Claim(
                kind="number",
                status=verdict.status,
                text=claim.number.text,
                place=_at(at, claim.number.start, claim.number.end),
                quantity=claim.quantity,
                value=claim.number.value,
                how=verdict.how,
                source=verdict.source,
                is_true=self._truth.of_number(claim) if self._truth else None,
            )

    def _computed(self, verdict: Verdict, claim: NumberClaim, at: Place) -> Verdict:
        is_written = at.call is None or _is_written(claim.number.text, self._code)
        is_open = verdict.status != "grounded" and not is_written
        return Verdict("grounded", "computed", None) if is_open else verdict

    def _names(self, reading: Reading, at: Place) -> Iterator[Claim]:
        for claim in name_claims(reading, self._told):
            status, source = name_verdict(claim, self._evidence)
            yield Claim(
                kind="name",
                status=status,
                text=reading.text[claim.start : claim.end],
                place=_at(at, claim.start, claim.end),
                quantity=claim.quantity,
                how="as recorded" if status == "grounded" else "",
                source=source,
                is_true=self._truth.of_name(claim) if self._truth else None,
            )

    def _actions(self, reading: Reading, at: Place) -> Iterator[Claim]:
        for claim in filter(self._deeds.can_tell, deed_claims(reading)):
            proof = self._deeds.proof_of(claim)
            yield Claim(
                kind="action",
                status="grounded" if proof else "pretended",
                text=reading.text[claim.start : claim.end],
                place=_at(at, claim.start, claim.end),
                quantity=claim.kind,
                how="as recorded" if proof else "",
                source=proof,
            )


def _findings(execution: Execution) -> Iterator[tuple[int, str]]:
    for place, call in enumerate(execution.calls):
        text = call.arguments.get("description")
        if call.method == FINDING_CALL and call.error is None and isinstance(text, str):
            yield place, text


def _is_written(number: str, code: str) -> bool:
    """Tell whether code spells a number out: "4" is no part of "[:14]"."""
    return re.search(rf"(?<![\w.]){re.escape(number)}(?!\w|\.\d)", code) is not None


def _at(place: Place, start: int, end: int) -> Place:
    return Place(turn=place.turn, execution=place.execution, call=place.call, start=start, end=end)
