"""What the evidence says of a number: shown, shown otherwise, or not at all. Pure."""

from typing import NamedTuple

import msgspec

from engine.compare.claims.deriving import Relation, derived_from
from engine.compare.claims.evidence import Evidence
from engine.compare.claims.facts import Fact
from engine.compare.claims.lexicon import WHOLE_MODEL
from engine.compare.claims.manner import BOUNDS, for_deriving
from engine.compare.claims.numbers import NumberClaim
from engine.compare.claims.values import Source, Status

_MOST_DERIVED = 200
"""Numbers of one text for which a derivation is looked for."""
_RELATIVE = Relation.RATIO | Relation.DIFFERENCE | Relation.SHARE | Relation.MEAN


class Verdict(NamedTuple):
    """What the evidence says of one number."""

    status: Status
    how: str
    source: Source | None


class Judge:
    """Compares the numbers of one text with the evidence that came before it."""

    def __init__(self, evidence: Evidence) -> None:
        """Judge by `evidence`."""
        self._evidence = evidence
        self._n_derived = 0
        self._sentence = (-1, -1)
        self._beside: list[Fact] = []
        """Facts behind the grounded numbers of the sentence."""

    def verdict(self, claim: NumberClaim) -> Verdict:
        """Return whether the number was shown, shown otherwise, or not at all."""
        if claim.sentence != self._sentence:
            self._sentence, self._beside = claim.sentence, []
        facts = self._comparable(claim)
        equal = next((fact for fact in facts if claim.holds_for(fact.value)), None)
        if equal:
            return self._grounded(claim, equal)
        return self._derived(claim) or self._otherwise(claim, facts)

    def _grounded(self, claim: NumberClaim, fact: Fact) -> Verdict:
        self._beside.append(fact)
        how = "as recorded" if claim.number.value == fact.value else "rounded"
        return Verdict("grounded", "bounded" if claim.manner in BOUNDS else how, fact.source)

    def _comparable(self, claim: NumberClaim) -> list[Fact]:
        """Return the facts about the same quantity of what may be the same thing."""
        if not claim.quantity:
            return []
        return [
            fact
            for fact in self._evidence.of(claim.quantity)
            if not claim.subject.is_other_than(fact.subject)
            and (claim.quantity != "n_parameters" or claim.subject.is_said == fact.subject.is_said)
        ]

    def _derived(self, claim: NumberClaim) -> Verdict | None:
        if not claim.relation or self._n_derived >= _MOST_DERIVED:
            return None
        self._n_derived += 1
        number = for_deriving(claim.number, claim.manner)
        fact = derived_from(number, claim.relation, self._evidence, self._beside)
        if fact is None:
            return None
        self._beside.append(msgspec.structs.replace(fact, value=claim.number.value))
        return Verdict("grounded", "derived", fact.source)

    def _otherwise(self, claim: NumberClaim, facts: list[Fact]) -> Verdict:
        within = [fact for fact in facts if claim.subject.is_within(fact.subject)]
        if claim.is_settled and claim.is_narrow and claim.subject.is_said and within:
            return _against(claim, within)
        is_of_the_model = claim.quantity in WHOLE_MODEL
        if not (claim.is_sure and claim.is_settled and is_of_the_model):
            elsewhere = self._elsewhere(claim, facts)
            if elsewhere:
                return self._grounded(claim, elsewhere)
        is_said = claim.subject.is_said and not is_of_the_model
        against = within if is_said else facts
        if claim.can_be_refuted and against:
            return _against(claim, against)
        return Verdict("unmeasured", "", None)

    def _elsewhere(self, claim: NumberClaim, facts: list[Fact]) -> Fact | None:
        """Return a fact of this value under another name, if that hardly happens by chance."""
        if not claim.number.is_telling:
            return None if claim.number.is_integer else self._evidence.lately(claim.number)
        same = (self._evidence.of(claim.quantity) if claim.quantity else ()) or ()
        found = next((fact for fact in same if claim.holds_for(fact.value)), None)
        if found or (claim.is_sure and claim.is_settled and facts):
            return found
        return self._evidence.equal_to(for_deriving(claim.number, claim.manner))


def _against(claim: NumberClaim, facts: list[Fact]) -> Verdict:
    """Return that facts contradict a number, unless one of them leaves it open."""
    if any(claim.holds_for(fact.value) is None for fact in facts):
        return Verdict("unmeasured", "", None)
    return Verdict("contradicted", "", facts[0].source)
