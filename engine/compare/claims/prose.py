"""The prose of a text: what stands outside code blocks and quotations. Pure, linear in length."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property

import msgspec

_FENCE = re.compile(r"[ \t>*-]{0,12}(`{3,}|~{3,})")
_END = re.compile(r"[.!?](?=[\s\"')*`]|$)|\n|;\s|\s[-\u2013\u2014]\s")
_ABBREVIATED = re.compile(r"\b(?:e\.g|i\.e|approx|vs|cf|etc|resp|no|std|dev)$", re.IGNORECASE)
_FURTHEST = 300
"""Characters around a place that can be its sentence."""
MOST_CHARS = 200_000
"""Characters of one text that are read: thirty times what a reply of 1,024 tokens has."""


class Prose(msgspec.Struct, frozen=True, dict=True):
    """A text with everything that is no prose blanked out: every character keeps its place."""

    text: str

    @cached_property
    def _ends(self) -> list[int]:
        return [
            found.end()
            for found in _END.finditer(self.text)
            if not _ABBREVIATED.search(self.text, max(0, found.start() - 8), found.start())
        ]

    def sentence(self, place: int) -> tuple[int, int]:
        """Return where the sentence around `place` starts and ends, at most 300 characters off."""
        at = bisect_right(self._ends, place)
        start = self._ends[at - 1] if at else 0
        end = self._ends[at] if at < len(self._ends) else len(self.text)
        return max(start, place - _FURTHEST), min(end, place + _FURTHEST)


def prose_of(text: str) -> Prose:
    """Return the prose of a reply: fenced blocks and quoted lines are blanks."""
    return Prose("".join(_kept(text[:MOST_CHARS])))


def _kept(text: str) -> Iterator[str]:
    fence = ""
    for line in text.splitlines(keepends=True):
        opened = _FENCE.match(line)
        is_code = bool(fence) or opened is not None
        fence = _after(line, fence, opened)
        yield _blank(line) if is_code or line.lstrip().startswith(">") else line


def _after(line: str, fence: str, opened: re.Match[str] | None) -> str:
    """Return the mark of the block that is open after `line`, or nothing."""
    if not fence:
        return opened[1] if opened else ""
    closes = opened and opened[1].startswith(fence) and not line.strip().strip(fence[0])
    return "" if closes else fence


def _blank(line: str) -> str:
    text = line.rstrip("\r\n")
    return " " * len(text) + line[len(text) :]
