"""Revision: what became of a model's findings once it had documents to read.

Every finding stored before is set beside what the model stored and said afterwards. It is kept if
it is said again, changed if it is said with another number or as changed, given up if that is said
of it, and else not mentioned. A later finding that is like none of the earlier ones is new.
Likeness is that of words (Dice, at least 0.4): a finding put in quite other words counts as not
mentioned, and its new form as new. What a fork inherits from another run's model is no word of its
own on what was found. Pure.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from engine.compare.own_turns import first_own_turn
from engine.compare.own_words import findings_in, replies_of
from engine.compare.wording import content_of, likeness
from engine.transcript import Transcript, Turn

ALIKE = 0.4
_MOST_BEFORE, _MOST_AFTER = 200, 1000
_SENTENCE = re.compile(r"[^.!?\n]+(?:\.(?=\w)[^.!?\n]*)*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_GIVEN_UP = re.compile(
    r"\b(?:g[ai]ve(?:n)? up|giving up|withdr[ae]w|drop(?:ped)?\b|retract|discard|reject|abandon"
    r"|no longer|was wrong|not true)",
    re.IGNORECASE,
)
_CHANGED = re.compile(
    r"\b(?:chang(?:e|ed|ing)\b|revis|updat|correct(?:ed|ion)|instead|refin|modif)", re.IGNORECASE
)
_NOT = re.compile(r"\b(?:not|no|never|cannot)\b|n't\b", re.IGNORECASE)
Fate = Literal["kept", "changed", "given_up", "unmentioned"]


class Revised(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one earlier finding."""

    finding: str
    turn: int
    """Index of the turn that stored it."""
    fate: Fate
    later: str | None
    """What was stored or said of it later."""
    later_turn: int | None


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the findings of one investigation."""

    findings: tuple[Revised, ...]
    new: tuple[str, ...]
    """Later findings that are like none of the earlier ones."""

    def counts(self) -> dict[str, int]:
        """Return how many findings were kept, changed, given up, not mentioned, and are new."""
        fates = [each.fate for each in self.findings]
        named = ("kept", "changed", "given_up", "unmentioned")
        return {**{fate: fates.count(fate) for fate in named}, "new": len(self.new)}


class _Said(NamedTuple):
    text: str
    turn: int
    is_finding: bool
    content: frozenset[str]


def revision_of(transcript: Transcript, later: Sequence[str]) -> Revision | None:
    """Return what became of the findings made before the experiments `later`, which have documents.

    None: no finding was made before, or nothing was said after.
    """
    turns, first_own = list(replies_of(transcript)), first_own_turn(transcript)
    before = [
        _said(text, turn.index)
        for turn, _ in turns
        if turn.experiment not in later
        for text in findings_in(turn)
    ][:_MOST_BEFORE]
    after = [
        said
        for turn, prose in turns[first_own:]
        if turn.experiment in later
        for said in _all(turn, prose)
    ][:_MOST_AFTER]
    if not before or not after:
        return None
    return Revision(
        findings=tuple(_revised(each, after) for each in before),
        new=tuple(each.text for each in after if each.is_finding and _is_new(each, before)),
    )


def _all(turn: Turn, prose: str) -> list[_Said]:
    sentences = [found[0].strip() for found in _SENTENCE.finditer(prose)]
    return [
        *(_said(text, turn.index) for text in findings_in(turn)),
        *(_said(text, turn.index, is_finding=False) for text in sentences if text),
    ]


def _said(text: str, turn: int, *, is_finding: bool = True) -> _Said:
    return _Said(text, turn, is_finding, content_of(text))


def _is_new(said: _Said, before: Sequence[_Said]) -> bool:
    return all(likeness(said.content, each.content) < ALIKE for each in before)


def _revised(finding: _Said, after: Sequence[_Said]) -> Revised:
    best = max(after, key=lambda each: likeness(finding.content, each.content))
    if likeness(finding.content, best.content) < ALIKE:
        return Revised(
            finding=finding.text, turn=finding.turn, fate="unmentioned", later=None, later_turn=None
        )
    return Revised(
        finding=finding.text,
        turn=finding.turn,
        fate=_fate(finding.text, best.text),
        later=best.text,
        later_turn=best.turn,
    )


def _fate(finding: str, later: str) -> Fate:
    if _GIVEN_UP.search(later) and not _GIVEN_UP.search(finding):
        return "given_up"
    is_said = bool(_CHANGED.search(later)) and not _CHANGED.search(finding)
    numbers, others = _NUMBER.findall(finding), _NUMBER.findall(later)
    has_others = bool(numbers and others) and not set(numbers) & set(others)
    turned = bool(_NOT.search(finding)) != bool(_NOT.search(later))
    return "changed" if is_said or has_others or turned else "kept"
