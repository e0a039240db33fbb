"""The whole way from nothing to a trained model: data, curriculum, training, files."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from scripts.tiny.corpus import Played, Sizes, play
from scripts.tiny.encoding import Example, encode, train_tokenizer
from scripts.tiny.export import export
from scripts.tiny.recital import recital
from scripts.tiny.shape import Shape
from scripts.tiny.training import Stage, train

_SIZES = Sizes(n_comparison=2200, n_baseline=400)
_MORE = Sizes(n_comparison=0, n_baseline=500)
_N_RECITALS = 8_000
_STEPS = {"tiny-s": (250, 700, 350, 450, 240), "tiny-m": (250, 600, 300, 0, 0)}
"""Steps on recitals, on short, on all, on long, and last on all transcripts.

The larger model has learnt enough after the first round; in further ones it learns by heart.
"""
_N_REPEATED = 900
_N_TOKENIZED = 600
"""Transcripts that the tokenizer is trained on."""
_N_PROBES = 200


def train_model(shape: Shape, folder: Path, *, seed: int, log: Callable[[str], None]) -> None:
    """Train `shape` from `seed` and write it to `folder`."""
    played = play(_SIZES, seed=seed)
    more = play(_MORE, seed=seed + 1)
    log("transcripts are played")
    texts = [_texts(each) for each in chain(*(sample[:_N_TOKENIZED] for sample in played.values()))]
    tokenizer = train_tokenizer(chain.from_iterable(texts))
    rng = random.Random(seed)  # noqa: S311 - drawn from a seed to be repeatable
    lessons = Lessons(
        recitals=[encode(tokenizer, recital(rng)) for _ in range(_N_RECITALS)],
        comparison=[encode(tokenizer, each.messages) for each in played["comparison"]],
        baseline=[encode(tokenizer, each.messages) for each in played["1a"]],
        more=[encode(tokenizer, each.messages) for each in more["1a"]],
    )
    network = train(shape, curriculum(shape, lessons), seed=seed, log=log)
    export(network, tokenizer, shape, folder, chain.from_iterable(texts[:_N_PROBES]))


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """What is learnt from."""

    recitals: Sequence[Example]
    comparison: Sequence[Example]
    baseline: Sequence[Example]
    more: Sequence[Example]
    """Further transcripts of the baseline, the longer phase."""


def curriculum(shape: Shape, lessons: Lessons) -> list[list[Stage]]:
    """Return three rounds: from copying to long transcripts; the long ones; all once more."""
    copying, short, mixed, again, last = _STEPS[shape.name]
    some = lessons.recitals[: len(lessons.recitals) // 4]
    both = [*lessons.comparison, *lessons.baseline]
    long = [*lessons.comparison[:_N_REPEATED], *lessons.baseline, *lessons.more]
    rounds = [
        [
            Stage(examples=lessons.recitals, steps=copying, batch_tokens=3000),
            Stage(examples=[*some, *lessons.comparison], steps=short, batch_tokens=3400),
            Stage(examples=[*some, *both], steps=mixed, batch_tokens=4600),
        ],
        [Stage(examples=long, steps=again, batch_tokens=4600)],
        [Stage(examples=both, steps=last, batch_tokens=4600)],
    ]
    return [stages for stages in rounds if any(stage.steps for stage in stages)]


def _texts(played: Played) -> list[str]:
    return [taught.message.content for taught in played.messages]
