"""Figures that follow from recorded ones, only by the relation that the text names. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Flag, auto
from functools import lru_cache
from itertools import islice, permutations

from engine.compare.claims.evidence import Evidence
from engine.compare.claims.facts import Fact
from engine.compare.claims.numerals import Numeral


class Relation(Flag):
    """How a figure is said to follow from others."""

    NONE = 0
    RATIO = auto()
    SUM = auto()
    DIFFERENCE = auto()
    MEAN = auto()
    PRODUCT = auto()
    SHARE = auto()
    """Of a whole, or a change relative to what was before: in percent."""


_BEFORE = {
    Relation.RATIO: r"ratio|factor|\bper\b|group|\bshar(?:e|es|ed|ing)\b|\bserv(?:e|es|ing)\b",
    Relation.SUM: r"together|\bsums?\b|total|combined|altogether|in all\b",
    Relation.DIFFERENCE: r"difference|\bdrop|decreas|increas|\bris(?:e|es)\b|\bgap\b|\bby\b|range",
    Relation.MEAN: r"averag|mean (?:of|over|across)",
    Relation.PRODUCT: r"\d ?[x\u00d7*] ?\d|product|multipl",
}
_BEHIND = {
    Relation.RATIO: r"\s?(?:times\b|x\b|\u00d7|-?fold\b)"
    r"|[^.]{0,40}\b(?:per|shar(?:e|es|ing)|group)\b",
    Relation.SUM: r"[^.]{0,30}\b(?:together|in total|combined|in all|altogether|overall)\b",
    Relation.DIFFERENCE: r"\s(?:\w+ ){0,2}(?:more|less|fewer|higher|lower|larger|smaller)\b",
    Relation.MEAN: r"[^.]{0,30}\bon average\b",
}
_SPAN = 90
_RATIOS = (
    ("n_attention_heads", "n_key_value_heads"),
    ("hidden_size", "n_attention_heads"),
    ("intermediate_size", "hidden_size"),
)
_PRODUCTS = (("n_layers", "n_attention_heads"), ("n_layers", "n_key_value_heads"))
_MOST_UNNAMED = 8


def relation_around(text: str, number: Numeral, sentence: tuple[int, int]) -> Relation:
    """Return how the words around a number say that it follows from others."""
    start, end = sentence
    before = text[max(start, number.start - _SPAN) : number.start]
    behind = text[number.end : min(end, number.end + _SPAN)]
    found = Relation.SHARE if number.unit == "%" else Relation.NONE
    for relation, words in _before().items():
        if words.search(before):
            found |= relation
    for relation, words in _behind().items():
        if words.match(behind):
            found |= relation
    return found


@lru_cache(maxsize=1)
def _before() -> dict[Relation, re.Pattern[str]]:
    return {each: re.compile(words, re.IGNORECASE) for each, words in _BEFORE.items()}


@lru_cache(maxsize=1)
def _behind() -> dict[Relation, re.Pattern[str]]:
    return {each: re.compile(words, re.IGNORECASE) for each, words in _BEHIND.items()}


def derived_from(
    number: Numeral, relation: Relation, evidence: Evidence, beside: Sequence[Fact]
) -> Fact | None:
    """Return a fact from which `number` follows by `relation`; `beside`: those of its sentence."""
    for group in _groups(evidence, beside):
        for value, fact in _results(relation, group):
            if number.agrees_with(value):
                return fact
    for value, fact in _known(relation, evidence):
        if number.agrees_with(value):
            return fact
    return None


def _groups(evidence: Evidence, beside: Sequence[Fact]) -> Iterator[list[Fact]]:
    yield list(beside)
    yield [*beside, *islice(evidence.of("n_parameters"), _MOST_UNNAMED)]
    for group in evidence.operands(evidence.quantities):
        yield _distinct(group)
    yield from evidence.unnamed(_MOST_UNNAMED)


def _distinct(facts: Iterable[Fact]) -> list[Fact]:
    return list({(fact.value, fact.subject): fact for fact in facts}.values())


def _results(relation: Relation, group: list[Fact]) -> Iterator[tuple[float, Fact]]:
    if len(group) > 1:
        total = sum(fact.value for fact in group)
        if Relation.SUM in relation:
            yield total, group[0]
        if Relation.MEAN in relation:
            yield total / len(group), group[0]
    for first, second in permutations(group, 2):
        for value in _pairwise(relation, first.value, second.value):
            yield value, first


def _pairwise(relation: Relation, a: float, b: float) -> Iterator[float]:
    if Relation.SUM in relation:
        yield a + b
    if Relation.PRODUCT in relation:
        yield a * b
    if Relation.DIFFERENCE in relation:
        yield a - b
    if Relation.MEAN in relation:
        yield (a + b) / 2
    if Relation.RATIO in relation and b:
        yield a / b
    if Relation.SHARE in relation:
        if a + b:
            yield a / (a + b)
        if b:
            yield from (a / b, (a - b) / b, (b - a) / b)


def _known(relation: Relation, evidence: Evidence) -> Iterator[tuple[float, Fact]]:
    """Yield what follows from the sizes of the model: heads per group, heads of all layers."""
    if Relation.RATIO in relation:
        for first, second in _RATIOS:
            yield from _of_latest(evidence, first, second, Relation.RATIO)
    if relation & (Relation.PRODUCT | Relation.SUM):
        for first, second in _PRODUCTS:
            yield from _of_latest(evidence, first, second, Relation.PRODUCT)


def _of_latest(
    evidence: Evidence, first: str, second: str, relation: Relation
) -> Iterator[tuple[float, Fact]]:
    for a, b in zip(islice(evidence.of(first), 1), islice(evidence.of(second), 1), strict=False):
        for value in _pairwise(relation, a.value, b.value):
            yield value, a
