"""The fenced blocks of a Markdown text. Pure.

CommonMark decides what a fence is, and a parser of it reads whatever is not plain. Most replies
are: their fences stand at the beginning of a line, and nothing could hide one. Those are read in a
tenth of the time.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from markdown_it import MarkdownIt

_MARKS = ("```", "~~~")


class Fence(NamedTuple):
    """One fenced block."""

    info: str
    """What stands behind the opening marks."""
    content: str


def fences(text: str) -> Sequence[Fence]:
    """Return the fenced blocks of `text`, in order."""
    if not _is_marked(text):
        return ()
    plain = plain_fences(text)
    return parsed_fences(text) if plain is None else plain


def plain_fences(text: str) -> list[Fence] | None:
    """Return the fenced blocks of a plain text; None when it takes a parser to read it."""
    if "\r" in text or "\0" in text:  # the parser writes other characters in their place
        return None
    found: list[Fence] = []
    mark, info, first = "", "", 0
    lines = text.split("\n")
    for number, line in enumerate(lines):
        is_marked = line.startswith(_MARKS)
        if not is_marked and _is_marked(line):
            return None
        if mark:
            if is_marked and _closes(line, mark):
                content = "".join(f"{each}\n" for each in lines[first:number])
                found.append(Fence(info, content))
                mark = ""
        elif is_marked:
            info = line.lstrip(line[0])
            mark, first = line[: len(line) - len(info)], number + 1
            if "`" in info:
                return None
        elif line.lstrip().startswith("<"):
            return None
    return None if mark else found


def _is_marked(text: str) -> bool:
    return "```" in text or "~~~" in text


def _closes(line: str, mark: str) -> bool:
    return line.startswith(mark) and not line.rstrip(" \t").strip(mark[0])


def parsed_fences(text: str) -> list[Fence]:
    """Return the fenced blocks of any text."""
    tokens = _parser().parse(text)
    return [Fence(token.info, token.content) for token in tokens if token.type == "fence"]


def fenced_lines(text: str) -> frozenset[int]:
    """Return the numbers of the lines that stand in fenced blocks, marks included."""
    found: set[int] = set()
    for token in _parser().parse(text):
        if token.type == "fence" and token.map:
            found.update(range(*token.map))
    return frozenset(found)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser
