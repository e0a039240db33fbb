"""The teacher's wording: one of several phrases for each occasion."""

import random
import tomllib
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("phrases.toml")


@lru_cache(maxsize=1)
def _phrases() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def phrase(rng: random.Random, group: str, occasion: str, **fields: object) -> str:
    """Return one of the phrases of `occasion` in `group`, filled with `fields`."""
    return rng.choice(_phrases()[group][occasion]).format(**fields)
