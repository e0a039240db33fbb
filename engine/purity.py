"""What an arm must not know, and whether it could see any of it. Pure.

Until the documents are granted, nothing that only conditions with documents have may be seen: the
terms of the module, and passages of any set. After that, nothing that only the other set has. A
finding that was read must have been stored by the same investigation, or begin one that was: a
summary shows no more of a long one. What the model wrote itself before is its own, so an error that
quotes the model's guess is no leak.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import cast

import msgspec

from engine.phase import Phase
from engine.requirements import FINDING_CALL
from engine.transcript import Call, Transcript, Turn

PASSAGE_WORDS = 8
"""Words in a row that make a passage: as many agree by chance in no two texts of this project."""
_LEAST_TITLE_WORDS = 3
_WORD = re.compile(r"[a-z0-9_]+")
_AROUND = 6
Gram = tuple[str, ...]


class Text(msgspec.Struct, frozen=True):
    """A text, and where it could be seen."""

    place: str
    text: str


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an arm could see and must not know."""

    place: str
    """"prompt", "docstring", "observation", "answer", ..."""
    experiment: str
    turn: int | None = None
    """None: before the run, or before the first turn."""
    found: str
    excerpt: str


class Secrets(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What is hidden from the conditions that do not grant it."""

    terms: tuple[str, ...]
    """Words of the module: its name and those of its functions."""
    documents: dict[str, tuple[str, ...]]
    """Set -> names, titles and texts, as they are."""

    @cached_property
    def _grams(self) -> dict[str, frozenset[Gram]]:
        return {
            kind: frozenset(chain.from_iterable(map(_grams_of, texts)))
            for kind, texts in self.documents.items()
        }

    def before(self) -> frozenset[Gram]:
        """Return what nobody may see who has no documents."""
        terms = frozenset(tuple(_words(term)) for term in self.terms)
        return terms.union(*self._grams.values())

    def beside(self, kind: str) -> frozenset[Gram]:
        """Return what nobody may see who has the set `kind`: what only the others have."""
        others = [grams for other, grams in self._grams.items() if other != kind]
        return frozenset[Gram]().union(*others) - self._grams[kind]

    def of(self, phase: Phase) -> "Forbidden":
        """Return what an arm of `phase` must not see, experiment by experiment."""
        before = Forbidden.sought(self.before())
        if phase.heritage is None:
            return Forbidden(phase, before, before)
        return Forbidden(phase, before, Forbidden.sought(self.beside(phase.heritage.documents)))


Sought = Mapping[int, frozenset[Gram]]
"""Length -> sequences of as many words."""


class Forbidden:
    """What an arm must not see, before and after it has documents."""

    def __init__(self, phase: Phase, before: Sought, after: Sought) -> None:
        """Hold both for `phase`."""
        self._phase, self._before, self._after = phase, before, after

    @staticmethod
    def sought(grams: frozenset[Gram]) -> Sought:
        """Return `grams` by length."""
        lengths = {len(gram) for gram in grams}
        return {n: frozenset(gram for gram in grams if len(gram) == n) for n in sorted(lengths)}

    def look(self, text: str, experiment: str, own: str = "") -> Iterator[tuple[str, str]]:
        """Yield (what was found, its surroundings): each once, unless it stands in `own`."""
        has = self._phase.has_heritage(experiment)
        words = _words(text)
        told: set[str] = set()
        for n, grams in (self._after if has else self._before).items():
            for place in _places(words, n, grams):
                found = " ".join(words[place : place + n])
                if found not in told and f" {found} " not in own:
                    told.add(found)
                    yield found, _excerpt(text, place - _AROUND, place + n + _AROUND)


def passages_of(texts: Iterable[str]) -> Sought:
    """Return the passages of documents, their names and titles included."""
    return Forbidden.sought(frozenset(chain.from_iterable(map(_grams_of, texts))))


def has_passage(text: str, passages: Sought) -> bool:
    """Tell whether any of the `passages` stands in `text`."""
    words = _words(text)
    return any(True for n, grams in passages.items() for _ in _places(words, n, grams))


def _places(words: list[str], n: int, grams: frozenset[Gram]) -> Iterator[int]:
    """Yield where one of `grams` begins; of overlapping ones the first only."""
    if grams.isdisjoint(zip(*(words[start:] for start in range(n)), strict=False)):
        return
    end = 0
    for place in range(len(words) - n + 1):
        if place >= end and tuple(words[place : place + n]) in grams:
            end = place + n
            yield place


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _excerpt(text: str, first: int, end: int) -> str:
    """Return the words from `first` to before `end` as they stand in `text`.

    What has no space in it stays whole: a key that is cut or in small letters is not known for one.
    """
    kept: list[str] = []
    n = 0
    for piece in text.split():
        start, n = n, n + len(_words(piece))
        if start < end and n > first:
            kept.append(piece)
    return " ".join(kept)


def _grams_of(text: str) -> Iterator[Gram]:
    """Yield the passages of a text; a name or a title is one by itself, if it is telling."""
    words = _words(text)
    if len(words) < PASSAGE_WORDS:
        is_name = text.count(" ") == 0 and len(words) > 1
        if is_name or len(words) >= _LEAST_TITLE_WORDS:
            yield tuple(words)
        return
    for place in range(len(words) - PASSAGE_WORDS + 1):
        yield tuple(words[place : place + PASSAGE_WORDS])


def leaks_in(
    texts: Iterable[Text], phase: Phase, experiment: str, secrets: Secrets
) -> tuple[Leak, ...]:
    """Return what `texts`, which an arm sees in `experiment`, give away."""
    forbidden = secrets.of(phase)
    return tuple(
        Leak(place=each.place, experiment=experiment, found=found, excerpt=excerpt)
        for each in texts
        for found, excerpt in forbidden.look(each.text, experiment)
    )


def leaks_of(transcript: Transcript, forbidden: Forbidden) -> tuple[Leak, ...]:
    """Return what an arm could see, and must not have seen, in all that is recorded of it."""
    return (*_leaks_of_texts(transcript, forbidden), *_foreign_findings(transcript))


def _leaks_of_texts(transcript: Transcript, forbidden: Forbidden) -> Iterator[Leak]:
    own, told, looked_at = " ", set[str](), set[tuple[str, str]]()
    for turn, seen in _seen(transcript):
        experiment = turn.experiment
        for each in seen:
            if each.place == "reply":
                own += " ".join(_words(each.text)) + " "
                continue
            # An observation is a message of the next turn.
            if (experiment, each.text) in looked_at:
                continue
            looked_at.add((experiment, each.text))
            for found, excerpt in forbidden.look(each.text, experiment, own):
                if found in told:
                    continue  # an output is an observation
                told.add(found)
                yield Leak(
                    place=each.place,
                    experiment=experiment,
                    turn=turn.index,
                    found=found,
                    excerpt=excerpt,
                )


def _seen(transcript: Transcript) -> Iterator[tuple[Turn, list[Text]]]:
    """Yield each turn with all that it showed, in order: messages, reply, outputs, answers."""
    messages = iter(transcript.messages)
    for turn in transcript.turns:
        seen: list[Text] = []
        for message in messages:
            if message.role == "assistant":
                break
            place = "system prompt" if message.role == "system" else "message"
            seen.append(Text(place, message.content))
        seen.append(Text("reply", turn.completion.text))
        yield turn, [*seen, *_shown(turn)]


def _shown(turn: Turn) -> Iterator[Text]:
    for execution in turn.executions:
        for call in execution.calls:
            if call.error:
                yield Text("error", call.error.message)
            else:
                yield from (Text("answer", text) for text in _texts(call.answer))
        yield Text("output", execution.output)
    if turn.observation:
        yield Text("observation", turn.observation)


def _texts(answer: object) -> Iterator[str]:
    if isinstance(answer, str):
        yield answer
    elif isinstance(answer, dict):
        for key, value in cast("dict[object, object]", answer).items():
            yield str(key)
            yield from _texts(value)
    elif isinstance(answer, list | tuple):
        for value in cast("Sequence[object]", answer):
            yield from _texts(value)


def _foreign_findings(transcript: Transcript) -> Iterator[Leak]:
    """Yield each finding that was read and had not been stored by this investigation."""
    stored: set[str] = set()
    for turn in transcript.turns:
        for call in (call for execution in turn.executions for call in execution.calls):
            if call.method == FINDING_CALL and call.error is None:
                stored.add(str(call.arguments.get("description")))
            for text in _findings_read(call):
                if text not in stored and not any(own.startswith(text) for own in stored):
                    yield Leak(
                        place="finding",
                        experiment=turn.experiment,
                        turn=turn.index,
                        found=text,
                        excerpt=call.method,
                    )


def _findings_read(call: Call) -> Iterator[str]:
    if call.error is None and call.method.startswith("memory.") and call.method != FINDING_CALL:
        yield from _descriptions(call.answer)


def _descriptions(answer: object) -> Iterator[str]:
    if isinstance(answer, dict):
        fields = cast("dict[str, object]", answer)
        match fields:
            case {"description": str() as text}:
                yield text
            case {"most_important": most}:
                yield from _texts(list(cast("dict[str, object]", most).values()))
            case _:
                yield from chain.from_iterable(map(_descriptions, fields.values()))
    elif isinstance(answer, list | tuple):
        yield from chain.from_iterable(map(_descriptions, cast("Sequence[object]", answer)))
