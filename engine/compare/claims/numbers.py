"""Claims that are numbers: which numbers are claims, of what, and how they are said. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from engine.compare.claims.assertions import Reading
from engine.compare.claims.deriving import Relation, relation_around
from engine.compare.claims.facts import mention_before
from engine.compare.claims.lexicon import COUNTS, OF_A_MODEL, Mention, counted_after
from engine.compare.claims.manner import BOUNDS, Manner, holds, manner_of
from engine.compare.claims.numerals import Numeral, numerals
from engine.compare.claims.scope import Scope, is_next, scope_of_count, scope_of_named
from engine.compare.claims.subjects import Subject, subject_of_name
from engine.compare.claims.unclaimed import is_unclaimed

_FOLLOWING = Relation.RATIO | Relation.PRODUCT | Relation.SUM
_RELATIVE = Relation.RATIO | Relation.DIFFERENCE | Relation.SHARE | Relation.MEAN
_NOT_OF_MLP = frozenset({"hidden_size", "n_layers"})
"""What is said of an MLP with these words is another quantity."""
_BEHIND_LAYER = re.compile(r"\s(?:\w+ )?(?:in|for|at|of) (?:the )?(?=layer |block )", re.IGNORECASE)


class NumberClaim(NamedTuple):
    """A number that is a claim, before it is judged."""

    number: Numeral
    quantity: str | None
    is_sure: bool
    """It is the first number behind the name of its quantity, or its noun follows."""
    subject: Subject
    is_narrow: bool
    """The subject is said right beside the number."""
    is_whole: bool
    """The text says clearly that the whole model has so much of its quantity."""
    relation: Relation
    manner: Manner
    sentence: tuple[int, int]

    def holds_for(self, value: float) -> bool | None:
        """Tell whether the number is right of `value`; None: it is neither right nor wrong."""
        return holds(self.number, self.manner, value)

    @property
    def is_settled(self) -> bool:
        """True if it is clear of what it is said: nothing contradicts what is not."""
        is_of_part = self.quantity == "n_parameters" and self.subject.is_said
        return self.is_whole or is_of_part or self.quantity not in OF_A_MODEL

    @property
    def can_be_refuted(self) -> bool:
        """True if another value contradicts it: a bound is often that of a choice."""
        is_sure = self.is_sure and self.is_settled and not self.relation & _RELATIVE
        return is_sure and (self.is_whole or self.manner not in BOUNDS)

    @property
    def is_about_the_model(self) -> bool:
        """True if it is about the model as such, so that its configuration can judge it."""
        is_of_part = self.quantity == "n_parameters" and self.subject.is_said
        return self.is_whole and not is_of_part and not self.relation


def number_claims(reading: Reading) -> Iterator[NumberClaim]:
    """Yield the numbers of a text that assert something."""
    taken: set[int] = set()
    last: NumberClaim | None = None
    for number in numerals(reading.text):
        sentence = reading.prose.sentence(number.start)
        if reading.asserts(number.start, sentence):
            near = last if last and last.sentence == sentence else None
            claim = _claim(reading, number, sentence, taken, near)
            if claim:
                last = _restated(claim, near, reading.text)
                yield last


def _restated(claim: NumberClaim, last: NumberClaim | None, text: str) -> NumberClaim:
    """Return the claim with the quantity of the one before if it says that again: "(0.49B)"."""
    if claim.quantity or last is None or not last.quantity:
        return claim
    between = text[last.number.end : claim.number.start]
    if not _AGAIN.fullmatch(between):
        return claim
    return claim._replace(
        quantity=last.quantity, subject=last.subject, is_sure=True, is_whole=last.is_whole
    )


_AGAIN = re.compile(r"[\w \u00a0-]{0,40}(?:\(|,? i\.e\.,? |,? or |,? that is,? )(?:about |~|≈)?")


class _Naming(NamedTuple):
    """The words that name the quantity of a number."""

    counted: Mention | None
    """The noun behind it."""
    direct: Mention | None
    """What is named directly before it."""
    last: Mention | None
    """What is named last before it, directly or not."""


def _claim(
    reading: Reading,
    number: Numeral,
    sentence: tuple[int, int],
    taken: set[int],
    near: NumberClaim | None,
) -> NumberClaim | None:
    """Return what a number claims, if anything; `near`: the claim before it in its sentence."""
    counted = counted_after(reading.text, number.end, number.value)
    if number.is_word and not counted:
        return None
    manner, place = manner_of(reading.text, number.start, sentence[0])
    named = reading.mentions_before(number.start, sentence[0])
    direct = mention_before(reading.text, place, named)
    naming = _Naming(counted, direct, direct or (named[-1] if named else None))
    is_counted, is_named = counted is not None, bool(counted or direct)
    if is_unclaimed(reading.text, number, sentence, is_counted=is_counted, is_named=is_named):
        return None
    is_first = naming.last is not None and naming.last.start not in taken
    quantity = _quantity(number, naming, taken)
    if not _is_telling_enough(number, quantity):
        return None
    relation = relation_around(reading.text, number, sentence)
    scope = _scope(reading.text, number, sentence, naming, near)
    if scope == "some" and quantity in COUNTS and not (number.is_telling or relation & _FOLLOWING):
        return None
    subject, is_narrow = _subject(reading, number, sentence)
    return NumberClaim(
        number=number,
        quantity=quantity,
        is_sure=counted is not None or direct is not None or is_first,
        subject=subject,
        is_narrow=is_narrow,
        is_whole=scope == "whole" and _is_of_model(quantity, subject),
        relation=relation,
        manner=manner,
        sentence=sentence,
    )


def _quantity(number: Numeral, naming: _Naming, taken: set[int]) -> str | None:
    """Return of what the number is; the first number takes the quantity that is named before it."""
    if naming.counted or naming.last is None:
        return naming.counted.quantity if naming.counted else None
    inherits = naming.last.start not in taken or not number.is_integer
    taken.add(naming.last.start)
    return naming.last.quantity if inherits else None


def _scope(
    text: str,
    number: Numeral,
    sentence: tuple[int, int],
    naming: _Naming,
    near: NumberClaim | None,
) -> Scope:
    """Return whether the model as a whole is said to have so much."""
    mention = naming.counted or naming.last
    if mention is None or mention.quantity not in OF_A_MODEL:
        return "unclear"
    if naming.counted:
        goes_on = bool(near and near.is_whole and is_next(text, near.number.end, number.start))
        return scope_of_count(text, number, naming.counted, sentence[0], goes_on=goes_on)
    return scope_of_named(text, number, mention, sentence[0], is_direct=bool(naming.direct))


def _is_of_model(quantity: str | None, subject: Subject) -> bool:
    is_of_mlp = quantity in _NOT_OF_MLP and "mlp" in subject.parts
    return quantity in OF_A_MODEL and not is_of_mlp


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
