"""The whole way from nothing to a trained model: data, curriculum, training, files."""

import random
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from scripts.tiny.corpus import Played, Sizes, play
from scripts.tiny.encoding import Example, encode, train_tokenizer
from scripts.tiny.export import export
from scripts.tiny.recital import recital
from scripts.tiny.shape import Shape
from scripts.tiny.training import Stage, train

_SIZES = Sizes(n_comparison=2200, n_baseline=400)
_N_RECITALS = 8_000
_STEPS = {"tiny-s": (250, 700, 350), "tiny-m": (250, 600, 300)}
"""Steps on recitals, on short and on all transcripts."""
_N_TOKENIZED = 600
"""Transcripts that the tokenizer is trained on."""
_N_PROBES = 200


def train_model(shape: Shape, folder: Path, *, seed: int, log: Callable[[str], None]) -> None:
    """Train `shape` from `seed` and write it to `folder`."""
    played = play(_SIZES, seed=seed)
    log(f"{_SIZES.n_comparison} and {_SIZES.n_baseline} transcripts are played")
    texts = [_texts(each) for each in chain(*(sample[:_N_TOKENIZED] for sample in played.values()))]
    tokenizer = train_tokenizer(chain.from_iterable(texts))
    rng = random.Random(seed)  # noqa: S311 - drawn from a seed to be repeatable
    recitals = [encode(tokenizer, recital(rng)) for _ in range(_N_RECITALS)]
    comparison = [encode(tokenizer, each.messages) for each in played["comparison"]]
    baseline = [encode(tokenizer, each.messages) for each in played["1a"]]
    log(f"{_n_tokens(comparison)} and {_n_tokens(baseline)} tokens")
    stages = curriculum(shape, recitals=recitals, comparison=comparison, baseline=baseline)
    network = train(shape, stages, seed=seed, log=log)
    export(network, tokenizer, shape, folder, chain.from_iterable(texts[:_N_PROBES]))


def curriculum(
    shape: Shape,
    *,
    recitals: Sequence[Example],
    comparison: Sequence[Example],
    baseline: Sequence[Example],
) -> list[Stage]:
    """Return the stages: copying, then short transcripts, then long ones among them."""
    copying, short, mixed = _STEPS[shape.name]
    some = recitals[: len(recitals) // 4]
    return [
        Stage(examples=recitals, steps=copying, batch_tokens=3000),
        Stage(examples=[*some, *comparison], steps=short, batch_tokens=3400),
        Stage(examples=[*some, *comparison, *baseline], steps=mixed, batch_tokens=4600),
    ]


def _texts(played: Played) -> list[str]:
    return [taught.message.content for taught in played.messages]


def _n_tokens(examples: Sequence[Example]) -> int:
    return sum(len(example.ids) for example in examples)
