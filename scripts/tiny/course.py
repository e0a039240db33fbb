"""The whole way from nothing to a trained model: data, curriculum, training, files."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from scripts.tiny.corpus import Played, Sizes, play
from scripts.tiny.encoding import Example, encode, train_tokenizer
from scripts.tiny.export import export
from scripts.tiny.shape import Shape
from scripts.tiny.training import Stage, train

_SIZES = Sizes(n_comparison=2200, n_baseline=400)
_STEPS = {"tiny-s": (650, 250), "tiny-m": (500, 180)}
"""Steps on short and on all transcripts."""
_N_TOKENIZED = 600
"""Transcripts that the tokenizer is trained on."""
_N_PROBES = 200


def train_model(shape: Shape, folder: Path, *, seed: int, log: Callable[[str], None]) -> None:
    """Train `shape` from `seed` and write it to `folder`."""
    played = play(_SIZES, seed=seed)
    log(f"{_SIZES.n_comparison} and {_SIZES.n_baseline} transcripts are played")
    texts = [_texts(each) for each in chain(*(sample[:_N_TOKENIZED] for sample in played.values()))]
    tokenizer = train_tokenizer(chain.from_iterable(texts))
    comparison = [encode(tokenizer, each.messages) for each in played["comparison"]]
    baseline = [encode(tokenizer, each.messages) for each in played["1a"]]
    log(f"{_n_tokens(comparison)} and {_n_tokens(baseline)} tokens")
    stages = curriculum(shape, comparison=comparison, baseline=baseline)
    network = train(shape, stages, seed=seed, log=log)
    export(network, tokenizer, shape, folder, chain.from_iterable(texts[:_N_PROBES]))


def curriculum(
    shape: Shape, *, comparison: Sequence[Example], baseline: Sequence[Example]
) -> list[Stage]:
    """Return the stages: short transcripts first, then long ones among them."""
    short, mixed = _STEPS[shape.name]
    return [
        Stage(examples=comparison, steps=short, batch_tokens=2600),
        Stage(examples=[*comparison, *baseline], steps=mixed, batch_tokens=4200),
    ]


def _texts(played: Played) -> list[str]:
    return [taught.message.content for taught in played.messages]


def _n_tokens(examples: Sequence[Example]) -> int:
    return sum(len(example.ids) for example in examples)
