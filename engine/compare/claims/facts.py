"""What executions show: figures with their names where they have one, and words. Pure."""

import math
import re
from collections.abc import Iterator
from typing import cast

import msgspec

from engine.compare.claims.lexicon import Mention, mentions, quantity_of_key
from engine.compare.claims.numerals import digits
from engine.compare.claims.subjects import Subject, layers_in, names_in, parts_in, subject_of_name
from engine.compare.claims.values import Source
from engine.transcript import Call, Execution

_READ_CHARS = 40_000
"""Characters of one output that are read; the model is shown 2,000 of them."""
_SHORT_LINE = 100
"""Characters of a line that says itself what its figures belong to; a printed dict is longer."""
_SHOWN_CHARS = 200
_DEEPEST = 12
_BY_HEAD = "by_head"
_SHARED = "weights.get_shared_weights"
_DIGIT = re.compile(r"\d")
_GAP = re.compile(r"[\s'\"`*\]):=|,>~≈(-]{0,12}(?:(?:is|of|are|was|has)\s{1,3})?[(\[]?")
_TEXTS = ("memory.", "heritage.")
"""Calls that answer with texts, of the model itself or of others: nothing is measured by them."""
_BESIDE_TEXTS = "history."
"""Calls that answer with what they measured, beside the texts that the model gave them."""


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One figure that was printed or answered."""

    value: float
    quantity: str | None
    subject: Subject
    source: Source


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One word that answers a question of kind, e.g. activation: silu."""

    quantity: str
    word: str
    source: Source


Shown = tuple[list[Fact], list[Word]]


def shown_by(execution: Execution, turn: int, place: int) -> Shown:
    """Return what the answers and the output of one execution show."""
    facts: list[Fact] = []
    words: list[Word] = []
    for number, call in enumerate(execution.calls):
        if not call.error and not is_of_texts(call):
            source = Source(turn=turn, execution=place, call=number, shown="")
            reading = _Answer(source, facts, words, _asked(call))
            reading.take(call.answer, call.method.partition(".")[2], subject_of(call))
            if call.method == _SHARED:
                source = msgspec.structs.replace(source, shown=_begin(f"shared: {call.answer}"))
                is_tied = str(bool(call.answer)).lower()
                words.append(Word(quantity="tied_embeddings", word=is_tied, source=source))
    facts += _printed(execution, turn, place)
    return facts, words


def is_of_texts(call: Call) -> bool:
    """Tell whether a call takes and answers texts, and measures nothing."""
    return call.method.startswith(_TEXTS)


def texts_read(execution: Execution) -> list[str]:
    """Return the texts that calls answered, which were read and not measured."""
    return [
        text
        for call in execution.calls
        if is_of_texts(call) and not call.error
        for text in _texts(call.answer)
    ]


def subject_of(call: Call) -> Subject:
    """Return the layer or parameter that a call asks about, if it is one."""
    names = _asked(call)
    return subject_of_name(names[0]) if len(names) == 1 else Subject()


def _asked(call: Call) -> list[str]:
    """Return the names of layers and parameters among the arguments of a call."""
    given = [text for value in call.arguments.values() for text in _texts(value)]
    return [text for text in given for named in names_in(text) if named.name == text]


class _Answer:
    def __init__(
        self, source: Source, facts: list[Fact], words: list[Word], asked: list[str]
    ) -> None:
        self._source, self._facts, self._words, self._asked = source, facts, words, asked

    def take(self, value: object, key: str, subject: Subject, depth: int = 0) -> None:
        """Collect the figures and words of `value`, which stands under `key`."""
        if depth > _DEEPEST:
            return
        match value:
            case bool():
                self._take_word(key, str(value).lower())
            case str():
                self._take_word(key, value)
            case int() | float():
                self._take_figure(key, float(value), subject)
            case dict():
                self._take_dict(cast("dict[str, object]", value), subject, depth)
            case list() | tuple():
                items = cast("list[object]", value)
                for place, each in enumerate(items):
                    self.take(each, key, self._of_item(key, place, len(items), subject), depth + 1)
            case _:
                return

    def _of_item(self, key: str, place: int, n_items: int, subject: Subject) -> Subject:
        """Return what one item of a list belongs to: one of the things asked about, or a head."""
        if key == _BY_HEAD:
            return msgspec.structs.replace(subject, head=place)
        is_each = len(self._asked) == n_items and n_items > 1
        return subject_of_name(self._asked[place]) if is_each else subject

    def _take_dict(self, fields: dict[str, object], subject: Subject, depth: int) -> None:
        name = fields.get("name")
        if isinstance(name, str) and any(True for _ in names_in(name)):
            subject = subject_of_name(name)
        head = fields.get("head")
        if isinstance(head, int):
            subject = msgspec.structs.replace(subject, head=head)
        for key, each in fields.items():
            named = next(iter(names_in(str(key))), None)
            self.take(each, str(key), subject_of_name(named.name) if named else subject, depth + 1)

    def _take_word(self, key: str, said: str) -> None:
        shown = msgspec.structs.replace(self._source, shown=_begin(f"{key}: {said}"))
        self._words.append(Word(quantity=key, word=said.lower(), source=shown))

    def _take_figure(self, key: str, value: float, subject: Subject) -> None:
        if math.isfinite(value):
            shown = msgspec.structs.replace(self._source, shown=f"{key}: {value:.12g}")
            self._facts.append(
                Fact(value=value, quantity=quantity_of_key(key), subject=subject, source=shown)
            )


def _begin(text: str) -> str:
    """Return the first words of `text`, whole: a key that is cut is not known for one."""
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS].rpartition(" ")[0]


def _printed(execution: Execution, turn: int, place: int) -> Iterator[Fact]:
    if execution.error and "Error" in execution.output[:400] and not execution.calls:
        return
    output = execution.output[:_READ_CHARS]
    borrowed = _borrowed(execution)
    subjects = [subject_of(call) for call in execution.calls]
    only = subjects[0] if len(subjects) == 1 else Subject()
    offset = 0
    for line in output.splitlines(keepends=True):
        if _DIGIT.search(line):
            yield from _of_line(line, offset, only, borrowed, (turn, place))
        offset += len(line)


def _of_line(
    line: str, offset: int, only: Subject, borrowed: frozenset[str], at: tuple[int, int]
) -> Iterator[Fact]:
    found = [each for each in digits(line) if each.text not in borrowed]
    if not found:
        return
    named = list(mentions(line))
    subject = _subject_of_line(line) or only
    for each in found:
        mention = mention_before(line, each.start, named)
        start = mention.start if mention else each.start
        yield Fact(
            value=each.value if math.isfinite(each.value) else 0.0,
            quantity=mention.quantity if mention else None,
            subject=subject,
            source=Source(
                turn=at[0],
                execution=at[1],
                start=offset + each.start,
                end=offset + each.end,
                shown=line[max(start, each.end - 160) : each.end],
            ),
        )


def mention_before(text: str, place: int, named: list[Mention]) -> Mention | None:
    """Return the quantity that is named directly before the number at `place`: "std = 0.1"."""
    for mention in reversed(named):
        if mention.end <= place:
            is_direct = _GAP.fullmatch(text, mention.end, place) is not None
            return mention if is_direct else None
    return None


def _subject_of_line(line: str) -> Subject | None:
    names = list(names_in(line[:400]))
    if len(names) == 1:
        return subject_of_name(names[0].name)
    layers = layers_in(line[:400])
    is_short = not names and len(line) <= _SHORT_LINE
    parts = parts_in(line) if is_short else frozenset[str]()
    subject = Subject(layer=layers[0] if len(layers) == 1 else None, parts=parts)
    return subject if subject.is_said else None


def _borrowed(execution: Execution) -> frozenset[str]:
    """Return the numbers, as written, in texts that were read and not measured."""
    texts = [*texts_read(execution), *_texts_beside(execution)]
    return frozenset(each.text for text in texts for each in digits(text[:_READ_CHARS]))


def _texts_beside(execution: Execution) -> Iterator[str]:
    for call in execution.calls:
        if call.method.startswith(_BESIDE_TEXTS):
            yield from _texts(call.answer)


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and depth < _DEEPEST:
        for each in cast("dict[object, object]", value).values():
            yield from _texts(each, depth + 1)
    elif isinstance(value, list | tuple) and depth < _DEEPEST:
        for each in cast("list[object]", value):
            yield from _texts(each, depth + 1)
