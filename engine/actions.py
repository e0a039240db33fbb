"""What a reply asks for: reply text -> action. Pure."""

import re
from functools import lru_cache

import msgspec

from engine.fences import fenced_lines, fences
from engine.phase import ReplyRules
from engine.repetition import runs_in_circles

_PYTHON_TAGS = frozenset({"", "python", "py", "python3"})
_OPENING_PYTHON_FENCE = re.compile(r"(```|~~~)[ \t]*(python|py)\b", re.IGNORECASE)
_QUESTION_TAIL_CHARS = 200
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""As CommonMark has them: with their ends, of which there are three."""


class Action(msgspec.Struct, frozen=True, tag_field="action"):
    """What was parsed from one reply."""


class RunCode(Action, frozen=True, tag="run_code"):
    """Execute these blocks in order; `is_done`: the reply also says that the model is done."""

    blocks: tuple[str, ...]
    is_done: bool = False


class Finish(Action, frozen=True, tag="finish"):
    """The reply says that the model is done."""


class Ask(Action, frozen=True, tag="ask"):
    """No code, and the reply ends in a question."""


class Cut(Action, frozen=True, tag="cut"):
    """The reply was cut by the token limit; nothing of it is executed."""


class Circling(Action, frozen=True, tag="circling"):
    """The reply said one passage over and over until it was cut."""


class Empty(Action, frozen=True, tag="empty"):
    """There is nothing in the reply."""


class Malformed(Action, frozen=True, tag="malformed"):
    """A Python fence was opened but no block can be read."""


class Nothing(Action, frozen=True, tag="nothing"):
    """No code, no question, no word of being done."""


AnyAction = RunCode | Finish | Ask | Cut | Circling | Empty | Malformed | Nothing


def parse(text: str, finish_reason: str, rules: ReplyRules) -> AnyAction:
    """Return the one action of a reply, of which `text` is the model's own part."""
    if finish_reason == "length":
        return Circling() if runs_in_circles(text) else Cut()
    if not text.strip():
        return Empty()
    if blocks := code_blocks(text):
        return RunCode(blocks, is_done=_says_done(text, rules))
    if _OPENING_PYTHON_FENCE.search(text):
        return Malformed()
    if _says_done(text, rules):
        return Finish()
    return Ask() if _asks(text, rules) else Nothing()


def own_part(text: str, rules: ReplyRules) -> str:
    """Return `text` up to where the model begins to write somebody else's part."""
    if not any(mark in text for mark in rules.foreign_marks):
        return text
    fenced, n_chars = fenced_lines(text), 0
    for number, line in enumerate(_LINE.findall(text)):
        if number not in fenced and line.strip().startswith(rules.foreign_marks):
            return text[:n_chars]
        n_chars += len(line)
    return text


def tag_of(action: AnyAction) -> str:
    """Return the name under which the action stands in the journal."""
    return str(action.__struct_config__.tag)


def code_blocks(text: str) -> tuple[str, ...]:
    """Return the non-empty fenced blocks that are Python or carry no language, in order."""
    blocks = (fence.content for fence in fences(text) if _language(fence.info) in _PYTHON_TAGS)
    return tuple(block for block in blocks if block.strip())


def _language(info: str) -> str:
    words = info.strip().split()
    return words[0].lower().strip("{}.") if words else ""


def _says_done(text: str, rules: ReplyRules) -> bool:
    lines = {line.strip(" \t*_`.!").casefold() for line in text.splitlines()}
    return not lines.isdisjoint(_folded(rules.done_phrases))


@lru_cache(maxsize=64)
def _folded(phrases: tuple[str, ...]) -> frozenset[str]:
    return frozenset(phrase.casefold() for phrase in phrases)


def _asks(text: str, rules: ReplyRules) -> bool:
    tail = text[-_QUESTION_TAIL_CHARS:].casefold()
    return any(mark.casefold() in tail for mark in rules.question_marks)
