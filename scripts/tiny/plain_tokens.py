"""The tiny models' tokenizer in plain Python, so that measuring needs no tokenizer library."""

import json
import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.tiny.encoding import END, START, Taught

_WORDS = re.compile(
    r"'(?:s|t|re|ve|m|ll|d)|[^\r\na-zA-Z0-9]?[a-zA-Z]+|[0-9]|"
    r" ?[^\sa-zA-Z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen2's pattern for text in ASCII, which is all that the transcripts hold."""


class PlainTokens:
    """Byte-level BPE for ASCII text, read from a tokenizer.json."""

    def __init__(self, folder: Path) -> None:
        """Load the vocabulary and the merges."""
        data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        self._ids: dict[str, int] = dict(data["model"]["vocab"])
        self._special = {each["content"]: each["id"] for each in data["added_tokens"]}
        merges = (tuple(merge) for merge in data["model"]["merges"])
        self._ranks = {merge: rank for rank, merge in enumerate(merges)}
        self._word = cache(self._merged)

    def ids(self, text: str) -> list[int]:
        """Return the token ids of ASCII `text`, which holds no special token."""
        return [each for word in _WORDS.findall(text) for each in self._word(word)]

    def special(self, token: str) -> int:
        """Return the id of a special token."""
        return self._special[token]

    def _merged(self, word: str) -> tuple[int, ...]:
        parts = [_visible(letter) for letter in word]
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            place = pairs.index(best)
            parts[place : place + 2] = ["".join(best)]
        return tuple(self._ids[part] for part in parts)


def _visible(letter: str) -> str:
    """Return what stands for an ASCII character (DEL excepted) in a byte-level vocabulary."""
    return letter if "!" <= letter <= "~" else chr(256 + ord(letter))


def ids_and_taught(
    tokens: PlainTokens, messages: Sequence[Taught]
) -> tuple[list[int], NDArray[np.bool_]]:
    """Return the ChatML ids of `messages` and which of them a model is taught to write."""
    ids: list[int] = []
    is_taught: list[bool] = []
    for taught in messages:
        head = [tokens.special(START), *tokens.ids(f"{taught.message.role}\n")]
        body = [*tokens.ids(taught.message.content), tokens.special(END)]
        ids += [*head, *body, *tokens.ids("\n")]
        is_taught += [*(False for _ in head), *(taught.is_taught for _ in body), False]
    return ids, np.array(is_taught)
