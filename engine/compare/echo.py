"""Echo: the vocabulary of documents in a model's own words, before it saw any of them and after.

A word of a set of documents counts if it stands in it at least twice and is not to be had from
elsewhere: common words, the other set, what the investigation was shown otherwise, as it was sent
(prompts, words on documents, nudges, outputs that show no document). What is left before exposure
is the chance level of the model and the condition; the echo is what comes on top. A fork has said
nothing of what was said before it, and has seen every document that was shown before it. Pure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain

import msgspec

from engine.compare.own_turns import first_own_turn
from engine.compare.own_words import findings_in, has_read, replies_of
from engine.compare.told import told_in
from engine.compare.wording import common_words, words_of
from engine.purity import Sought, has_passage, passages_of
from engine.transcript import Transcript

_LEAST_LETTERS = 4
_LEAST_TIMES = 2
_MOST_SHOWN = 20


class Echo(msgspec.Struct, frozen=True, kw_only=True):
    """Words of one set of documents in what one model said, or several investigations of it."""

    documents: str
    """The set: "true" or "wrong"."""
    n_words_before: int = 0
    n_echoed_before: int = 0
    """Words said before the first document was shown, and those of them that are the set's."""
    n_words_after: int = 0
    n_echoed_after: int = 0
    words: dict[str, int] = {}
    """The set's words that were said most after exposure -> times."""

    @property
    def share_before(self) -> float | None:
        """Share of the words said before exposure; None where nothing was said."""
        return self.n_echoed_before / self.n_words_before if self.n_words_before else None

    @property
    def share_after(self) -> float | None:
        """Share of the words said after exposure; None where nothing was said."""
        return self.n_echoed_after / self.n_words_after if self.n_words_after else None

    def __add__(self, other: "Echo") -> "Echo":
        """Return the counts of both."""
        words = Counter(self.words) + Counter(other.words)
        return Echo(
            documents=self.documents,
            n_words_before=self.n_words_before + other.n_words_before,
            n_echoed_before=self.n_echoed_before + other.n_echoed_before,
            n_words_after=self.n_words_after + other.n_words_after,
            n_echoed_after=self.n_echoed_after + other.n_echoed_after,
            words=dict(words.most_common(_MOST_SHOWN)),
        )


class Sets(msgspec.Struct, frozen=True, dict=True):
    """The sets of documents of a run; what is looked for is prepared once."""

    texts: Mapping[str, Sequence[str]]
    """By the name of the set."""

    @cached_property
    def vocabularies(self) -> dict[str, frozenset[str]]:
        """The words of each set, see `vocabulary_of`."""
        return {kind: vocabulary_of(kind, self.texts) for kind in self.texts}

    @cached_property
    def passages(self) -> Sought:
        """What shows that a text is of a document."""
        return passages_of(chain.from_iterable(self.texts.values()))


def echoes_of(transcript: Transcript, documents: Sets) -> tuple[Echo, ...]:
    """Return the echo of each set of `documents` in one investigation."""
    background = _background(transcript, documents)
    before, after = _said(transcript)
    return tuple(
        _echo(kind, vocabulary - background, before, after)
        for kind, vocabulary in documents.vocabularies.items()
    )


def vocabulary_of(kind: str, documents: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the words that the set `kind` has and no other one."""
    times = Counter(word for text in documents[kind] for word in words_of(text))
    others = {
        word
        for other, texts in documents.items()
        if other != kind
        for text in texts
        for word in words_of(text)
    }
    return frozenset(
        word
        for word, n in times.items()
        if n >= _LEAST_TIMES and len(word) >= _LEAST_LETTERS and word[0].isalpha()
    ) - (others | common_words())


def _background(transcript: Transcript, documents: Sets) -> frozenset[str]:
    """Return the words that were told or shown; a document that was read can be printed later."""
    shown = [told.text for told in told_in(transcript)]
    seen = [turn.observation or "" for turn in transcript.turns if not has_read(turn)]
    shown += [text for text in seen if not has_passage(text, documents.passages)]
    return frozenset(word for text in shown for word in words_of(text))


def _said(transcript: Transcript) -> tuple[Counter[str], Counter[str]]:
    """Return the words that its own turns say before and after the first document was shown."""
    before, after = Counter[str](), Counter[str]()
    first, is_exposed = first_own_turn(transcript), False
    for place, (turn, prose) in enumerate(replies_of(transcript)):
        said = after if is_exposed else before
        for text in (prose, *findings_in(turn)) if place >= first else ():
            said.update(words_of(text))
        is_exposed = is_exposed or has_read(turn)
    return before, after


def _echo(kind: str, vocabulary: frozenset[str], before: Counter[str], after: Counter[str]) -> Echo:
    echoed = Counter({word: n for word, n in after.items() if word in vocabulary})
    return Echo(
        documents=kind,
        n_words_before=before.total(),
        n_echoed_before=sum(n for word, n in before.items() if word in vocabulary),
        n_words_after=after.total(),
        n_echoed_after=echoed.total(),
        words=dict(echoed.most_common(_MOST_SHOWN)),
    )
