"""Words of texts, without those that every text has. Pure."""

import re
from functools import lru_cache
from pathlib import Path

_WORD = re.compile(r"[a-z][a-z_'-]{2,}|\d+(?:\.\d+)?")


@lru_cache(maxsize=1)
def common_words() -> frozenset[str]:
    """Return words that say nothing about a subject."""
    text = Path(__file__).with_name("common_words.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return frozenset(" ".join(lines).split())


def words_of(text: str) -> list[str]:
    """Return the words of three letters and more and the numbers of `text`, in lower case."""
    return _WORD.findall(text.lower())


def content_of(text: str) -> frozenset[str]:
    """Return what a text is about: its words without the common ones."""
    return frozenset(words_of(text)) - common_words()


def likeness(first: frozenset[str], second: frozenset[str]) -> float:
    """Return how much two texts are about the same, 0 to 1 (Dice)."""
    if not first or not second:
        return 0.0
    return 2 * len(first & second) / (len(first) + len(second))
