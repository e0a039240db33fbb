"""Everything that was shown up to a point of an investigation, to be asked about a number."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import cast

from engine.compare.claims.facts import Fact, Word, is_of_texts, shown_by, texts_read
from engine.compare.claims.numerals import Numeral
from engine.compare.claims.subjects import names_in
from engine.compare.claims.values import Source
from engine.transcript import Call, Execution

_MOST_COMPARED = 400
"""Facts of one quantity that a claim is compared with, latest first."""
_MOST_OPERANDS = 24
_MOST_LATE = 24
_LAST_EXECUTIONS = 4
_READ_CHARS = 40_000
_DEEPEST = 12
_FULL = ("model.", "transformer.")


class Evidence:
    """Facts in the order in which they came; grows by whole turns."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._by_quantity: dict[str, list[Fact]] = {}
        self._all: list[Fact] = []
        self._sorted: list[Fact] = []
        self._unnamed: list[list[Fact]] = []
        self.words: dict[str, list[Word]] = {}
        self._names: dict[str, Source] = {}

    def take(self, turn: int, executions: Sequence[Execution]) -> None:
        """Add what the executions of a turn showed."""
        for place, execution in enumerate(executions):
            facts, words = shown_by(execution, turn, place)
            for fact in facts:
                self._all.append(fact)
                if fact.quantity:
                    self._by_quantity.setdefault(fact.quantity, []).append(fact)
            self._unnamed.append([fact for fact in facts if fact.quantity is None])
            for word in words:
                self.words.setdefault(word.quantity, []).append(word)
            self._take_names(turn, place, execution)

    def _take_names(self, turn: int, place: int, execution: Execution) -> None:
        read = {named.name for text in texts_read(execution) for named in names_in(text)}
        for named in names_in(execution.output[:_READ_CHARS]):
            if named.name not in read:
                source = Source(
                    turn=turn, execution=place, start=named.start, end=named.end, shown=named.name
                )
                self._names.setdefault(named.name, source)
        for number, call in enumerate(execution.calls):
            if call.error is None and not is_of_texts(call):
                source = Source(turn=turn, execution=place, call=number, shown=call.method)
                for name in _names_of(call):
                    self._names.setdefault(name, source)

    def name_source(self, name: str) -> Source | None:
        """Return where a name was first shown or accepted: whole, as a pattern, or within one."""
        numbered = ".".join("*" if part.isdecimal() else part for part in name.split("."))
        found = self._names.get(name) or self._names.get(numbered)
        if found or name.startswith(_FULL):
            return found
        ends = (
            source for known, source in self._names.items() if f".{known}.".find(f".{name}.") >= 0
        )
        return next(ends, None)

    def of(self, quantity: str) -> Iterator[Fact]:
        """Yield the facts about `quantity`, latest first, a bounded number."""
        return islice(reversed(self._by_quantity.get(quantity, ())), _MOST_COMPARED)

    def equal_to(self, number: Numeral) -> Fact | None:
        """Return a fact with this value, whatever it is the value of."""
        if len(self._sorted) != len(self._all):
            self._sorted = sorted(self._all, key=lambda fact: fact.value)
        readings = [number.value] + ([number.value / 100] if number.unit == "%" else [])
        if number.binary is not None:
            readings.append(number.binary)
        for value in readings:
            width = abs(number.half_unit * 2 * (value / number.value if number.value else 1))
            low = bisect_left(self._sorted, value - width, key=lambda fact: fact.value)
            high = bisect_right(self._sorted, value + width, key=lambda fact: fact.value)
            for fact in self._sorted[low : min(high, low + _MOST_COMPARED)]:
                if number.agrees_with(fact.value):
                    return fact
        return None

    def lately(self, number: Numeral) -> Fact | None:
        """Return a fact of this value among the last ones, where few can agree by chance."""
        return next(
            (
                fact
                for fact in islice(reversed(self._all), _MOST_LATE)
                if number.agrees_with(fact.value)
            ),
            None,
        )

    def operands(self, quantities: Iterable[str]) -> list[list[Fact]]:
        """Return groups of facts that can be set in relation: those of one quantity."""
        return [list(islice(self.of(name), _MOST_OPERANDS)) for name in quantities]

    def unnamed(self, most: int) -> Iterator[list[Fact]]:
        """Yield the figures without a name that the last executions printed, if they are few."""
        yield from (group for group in self._unnamed[-_LAST_EXECUTIONS:] if len(group) <= most)

    @property
    def quantities(self) -> Iterable[str]:
        """Names of all quantities that were shown."""
        return self._by_quantity.keys()


def _names_of(call: Call) -> Iterator[str]:
    """Yield the names in a call and its answer; those inside a layer with the layer before them."""
    yield from (named.name for named in names_in(_strings(call.arguments)))
    yield from (named.name for named in names_in(_strings(call.answer)))
    answer = call.answer
    for each in cast("list[object]", answer) if isinstance(answer, list) else [answer]:
        fields = cast("dict[str, object]", each) if isinstance(each, dict) else {}
        inside = fields.get("parameters")
        if isinstance(inside, dict):
            names = cast("dict[str, object]", inside)
            yield from (f"{fields.get('name')}.{name}" for name in names)


def _strings(value: object, depth: int = 0) -> str:
    """Return all texts in a value, keys too, with blanks between them."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and depth < _DEEPEST:
        pairs = cast("dict[object, object]", value).items()
        return " ".join(f"{key} {_strings(each, depth + 1)}" for key, each in pairs)
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        return " ".join(_strings(each, depth + 1) for each in cast("list[object]", value))
    return ""
