"""Claims that are numbers: which numbers are claims, of what, and what the evidence says. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from engine.compare.claims.assertions import Reading
from engine.compare.claims.deriving import Relation, derived_from, relation_around
from engine.compare.claims.evidence import Evidence
from engine.compare.claims.facts import Fact, mention_before
from engine.compare.claims.lexicon import COUNTS, WHOLE_MODEL, counted_after
from engine.compare.claims.numerals import Numeral, numerals
from engine.compare.claims.subjects import Subject, subject_of_name
from engine.compare.claims.values import Source, Status

_PLACE_WORDS = (
    "layer|block|head|turn|step|experiment|phase|index|position|token|row|column|figure|table|section"
    "|part|question|hypothesis|version|seed|top|stage|chapter|dimension|unit|neuron|run|example|point"
    "|case|option|iteration|round|finding|observation"
)
_PLACE = re.compile(
    rf"\b(?:{_PLACE_WORDS})s?[ #_*:-]{{0,2}}"
    r"(?:\d{1,6}[ ,]{0,3}(?:(?:and|to|or|through|&|\u2013|-)[ ]?)?){0,8}$",
    re.IGNORECASE,
)
_SECTION = re.compile(r"\b(?:section|version|figure|table|chapter|appendix|v)\.? ?$", re.IGNORECASE)
_ITEM = re.compile(r"^[ \t>#*_(|-]{0,8}\Z", re.MULTILINE)
_ITEM_CHARS = 8
_ITEM_END = re.compile(r"(?:[.)]|\*\*[.)]?|:)(?:\s|\*)")
_BRACKET = re.compile(r"[()]")
_REMARK_CHARS = 400
"""How far back a bracket that is still open is looked for."""
_PROGRESS = re.compile(
    r"\s?(?:(?:of|out of|/) ?\d{1,4} )?(?:more |further |other |remaining |code )?(?:turns?|steps?"
    r"|experiments?|stages?|phases?|code blocks?|lines?|minutes?|attempts?|replies|reply|words?"
    r"|characters?|findings?|observations?|times? (?:in|more|already)|main|things?"
    r"|ways?|reasons?|kinds?|questions?)\b",
    re.IGNORECASE,
)
_PARTIAL = re.compile(
    r"\b(?:first|last|these|those|other|next|remaining|top|bottom|both|another|of the|each of"
    r"|selected|compared?|look(?:ed|ing)? at|examined?|measured|checked|sampled|picked|inspected"
    r"|printed|listed|queried|between|across|every|for|on|at)(?: the| my| all)? $",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"(?:about|approximately|approx\.?|roughly|around|nearly|almost|over|more than|just under|circa"
    r"|some|ca\.|~|≈|≃)\s?(?:a |the )?$",
    re.IGNORECASE,
)
_BEHIND_LAYER = re.compile(r"\s(?:\w+ )?(?:in|for|at|of) (?:the )?(?=layer |block )", re.IGNORECASE)
_YEARS = range(1950, 2041)
_MOST_DERIVED = 200
"""Numbers of one text for which a derivation is looked for."""


class Verdict(NamedTuple):
    """What the evidence says of one number."""

    status: Status
    how: str
    source: Source | None


class NumberClaim(NamedTuple):
    """A number that is a claim, before it is judged."""

    number: Numeral
    quantity: str | None
    is_sure: bool
    """It is the first number behind the name of its quantity, or its noun follows."""
    subject: Subject
    is_narrow: bool
    """The subject is said right beside the number."""
    relation: Relation
    slack: float
    sentence: tuple[int, int]


def number_claims(reading: Reading) -> Iterator[NumberClaim]:
    """Yield the numbers of a text that assert something."""
    taken: set[int] = set()
    last: NumberClaim | None = None
    for number in numerals(reading.text):
        sentence = reading.prose.sentence(number.start)
        if reading.asserts(number.start, sentence):
            claim = _claim(reading, number, sentence, taken)
            if claim:
                last = _restated(claim, last, reading.text)
                yield last


def _restated(claim: NumberClaim, last: NumberClaim | None, text: str) -> NumberClaim:
    """Return the claim with the quantity of the one before if it says that again: "(0.49B)"."""
    if claim.quantity or last is None or last.sentence != claim.sentence or not last.quantity:
        return claim
    between = text[last.number.end : claim.number.start]
    if not _AGAIN.fullmatch(between):
        return claim
    return claim._replace(quantity=last.quantity, subject=last.subject, is_sure=True)


_AGAIN = re.compile(r"[\w \u00a0-]{0,40}(?:\(|,? i\.e\.,? |,? or |,? that is,? )(?:about |~|≈)?")


def _claim(
    reading: Reading, number: Numeral, sentence: tuple[int, int], taken: set[int]
) -> NumberClaim | None:
    text = reading.text
    counted = counted_after(text, number.end, number.value)
    named = reading.mentions_before(number.start, sentence[0])
    direct = mention_before(text, number, named)
    if number.is_word and not counted:
        return None
    if not (counted or direct) and _is_place(text, number, sentence):
        return None
    if _PROGRESS.match(text, number.end) or _counts_some(text, number, sentence, counted):
        return None
    mention = direct or (named[-1] if named else None)
    is_first = mention is not None and mention.start not in taken
    quantity = counted
    if mention and not counted:
        inherits = is_first or not number.is_integer
        quantity = mention.quantity if inherits else None
        taken.add(mention.start)
    if not _is_telling_enough(number, quantity):
        return None
    subject, is_narrow = _subject(reading, number, sentence)
    hedged = _HEDGE.search(text, max(sentence[0], number.start - 24), number.start)
    return NumberClaim(
        number=_loosened(number) if hedged else number,
        quantity=quantity,
        is_sure=counted is not None or direct is not None or is_first,
        subject=subject,
        is_narrow=is_narrow,
        relation=relation_around(text, number, sentence),
        slack=2.0 if hedged else 1.0,
        sentence=sentence,
    )


def _is_place(text: str, number: Numeral, sentence: tuple[int, int]) -> bool:
    """Tell whether a number names a place or an item: "layer 3", "2.", "(1)", "1)"."""
    is_first = _ITEM.search(text, max(0, number.start - _ITEM_CHARS), number.start) is not None
    if is_first and _ITEM_END.match(text, number.end):
        return True
    before = text[max(sentence[0], number.start - 80) : number.start]
    places = _PLACE if number.is_integer else _SECTION
    if places.search(before):
        return True
    if _is_listed(text, number, sentence):
        return True
    is_year = number.is_integer and number.value in _YEARS and "," not in number.text
    return is_year or _in_a_row_of_layers(before)


def _is_listed(text: str, number: Numeral, sentence: tuple[int, int]) -> bool:
    """Tell whether a bracket behind a number makes it an item, "1)", "(1)": it ends no remark."""
    if number.is_telling or not number.is_integer or not text.startswith(")", number.end):
        return False
    before = text[max(sentence[0], number.start - _REMARK_CHARS) : number.start]
    return before.endswith("(") or not _n_open(before)


def _n_open(text: str) -> int:
    """Return how many brackets are open at the end; "1)" closes none."""
    n_open = 0
    for bracket in _BRACKET.findall(text):
        n_open = n_open + 1 if bracket == "(" else max(0, n_open - 1)
    return n_open


_ROW = re.compile(r"\blayers?\b[^.;\n]{0,30}?:[\d, ]{0,40}(?:and )?$", re.IGNORECASE)


def _in_a_row_of_layers(before: str) -> bool:
    return _ROW.search(before) is not None


def _counts_some(
    text: str, number: Numeral, sentence: tuple[int, int], counted: str | None
) -> bool:
    """Tell whether a count is one of some chosen ones: "I compared 3 layers"."""
    if counted is None or number.is_telling:
        return False
    before = text[max(sentence[0], number.start - 40) : number.start]
    if number.is_word and before.endswith("the "):
        return True
    return _PARTIAL.search(before) is not None


def _is_telling_enough(number: Numeral, quantity: str | None) -> bool:
    return bool(quantity or number.unit or number.is_telling or not number.is_integer)


def _subject(reading: Reading, number: Numeral, sentence: tuple[int, int]) -> tuple[Subject, bool]:
    """Return what a number belongs to, and whether that is said right beside it."""
    text, places = reading.text, reading.places
    start, place = sentence[0], number.start
    found = _BEHIND_LAYER.match(text, number.end, min(sentence[1], number.end + _BESIDE))
    if found and (layers := places.layers(found.end(), found.end() + 2)):
        return Subject(layer=layers[0]), True
    head = places.head(start, place)
    if head is not None:
        return Subject(head=head), True
    name = places.name(start, place)
    if name:
        return subject_of_name(name), True
    clause = max(text.rfind(", ", start, place), text.rfind(" and ", start, place), start)
    parts = places.parts(clause, place) or places.parts(start, place)
    layers = places.layers(start, place)
    return Subject(layer=layers[0] if len(layers) == 1 else None, parts=parts), False


_BESIDE = 48


_DIGITS = re.compile(r"\d+(?![\d.])")


def _loosened(number: Numeral) -> Numeral:
    """Return the number as "about" leaves it: the zeros at its end are not meant."""
    digits = _DIGITS.match(number.text.replace(",", ""))
    zeros = len(digits[0]) - len(digits[0].rstrip("0")) if digits else 0
    return msgspec.structs.replace(number, half_unit=number.half_unit * 10**zeros)


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
        equal = next((fact for fact in facts if self._agrees(claim, fact)), None)
        if equal:
            self._beside.append(equal)
            return Verdict("grounded", _how(claim.number, equal), equal.source)
        return self._derived(claim) or self._otherwise(claim, facts)

    def _agrees(self, claim: NumberClaim, fact: Fact) -> bool:
        return claim.number.agrees_with(fact.value, claim.slack)

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
        fact = derived_from(claim.number, claim.relation, self._evidence, self._beside, claim.slack)
        if fact is None:
            return None
        self._beside.append(msgspec.structs.replace(fact, value=claim.number.value))
        return Verdict("grounded", "derived", fact.source)

    def _otherwise(self, claim: NumberClaim, facts: list[Fact]) -> Verdict:
        within = [fact for fact in facts if claim.subject.is_within(fact.subject)]
        if claim.is_narrow and claim.subject.is_said and within:
            return Verdict("contradicted", "", within[0].source)
        if not claim.is_sure or claim.quantity not in WHOLE_MODEL:
            elsewhere = self._elsewhere(claim, facts)
            if elsewhere:
                self._beside.append(elsewhere)
                return Verdict("grounded", _how(claim.number, elsewhere), elsewhere.source)
        is_said = claim.subject.is_said and claim.quantity not in WHOLE_MODEL
        against = within if is_said else facts
        if claim.is_sure and against and not claim.relation & _RELATIVE:
            return Verdict("contradicted", "", against[0].source)
        return Verdict("unmeasured", "", None)

    def _elsewhere(self, claim: NumberClaim, facts: list[Fact]) -> Fact | None:
        """Return a fact of this value under another name, if that hardly happens by chance."""
        if not claim.number.is_telling:
            return None if claim.number.is_integer else self._evidence.lately(claim.number)
        same = (self._evidence.of(claim.quantity) if claim.quantity else ()) or ()
        found = next((fact for fact in same if self._agrees(claim, fact)), None)
        if found or (claim.is_sure and facts):
            return found
        return self._evidence.equal_to(claim.number, claim.slack)


_RELATIVE = Relation.RATIO | Relation.DIFFERENCE | Relation.SHARE | Relation.MEAN


def _how(number: Numeral, fact: Fact) -> str:
    return "as recorded" if number.value == fact.value else "rounded"


def is_about_the_whole(claim: NumberClaim) -> bool:
    """Tell whether a claim is about the model as such, so that its configuration can judge it."""
    if claim.quantity == "n_parameters":
        return not claim.subject.is_said and not claim.relation
    return claim.quantity in WHOLE_MODEL or claim.quantity in COUNTS
