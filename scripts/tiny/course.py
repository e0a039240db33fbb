"""The whole way from nothing, or from a trained model, to a trained model: data, lessons, files."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from phases.load import list_phases
from scripts.tiny.corpus import play
from scripts.tiny.encoding import Example, encode, load_tokenizer, train_tokenizer
from scripts.tiny.export import export
from scripts.tiny.lessons import Played
from scripts.tiny.recital import recital
from scripts.tiny.shape import Shape
from scripts.tiny.training import Round, Stage, network_of, train_round

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_N_PLAYED = (1600, 260)
"""Investigations played of the comparison, the shortest phase, and of each other one."""
_N_PLAYED_ON = (160, 70)
"""The same for a model that has been trained before: fewer steps, so fewer are seen."""
_N_RECITALS = 8_000
_STEPS = {"tiny-s": (250, 700, 450, 450), "tiny-m": (250, 600, 400, 200)}
"""Steps on recitals, on short, and on all transcripts, then on all once more."""
_STEPS_ON = (160, 160, 160)
"""Steps on all transcripts of each round for a model that has been trained before."""
_RATE_ON = 0.5
_LAST_RATE_ON = 0.25
_N_TOKENIZED = 150
"""Investigations of each phase that the tokenizer is trained on."""
_N_PROBES = 200


def train_model(
    shape: Shape,
    folder: Path,
    *,
    seed: int,
    log: Callable[[str], None],
    start: Path | None = None,
) -> None:
    """Train `shape` from `seed` and write it to `folder` after every round.

    `start`: folder of a trained model of this shape to go on from, its tokenizer kept.
    """
    n_comparison, n_other = _N_PLAYED_ON if start else _N_PLAYED
    counts = {key: n_comparison if key == "comparison" else n_other for key in list_phases()}
    played = play(counts, seed=seed)
    log("transcripts are played")
    tokenizer = load_tokenizer(start) if start else train_tokenizer(_texts(played))
    rounds = _going_on(tokenizer, played) if start else _beginning(shape, tokenizer, played, seed)
    rng = random.Random(seed)  # noqa: S311 - drawn from a seed to be repeatable
    network = network_of(shape, seed=seed, start=start)
    for each in rounds:
        train_round(network, each, rng=rng, log=log)
        export(network, tokenizer, shape, folder, list(_texts(played))[:_N_PROBES])
        log(f"written to {folder}")


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """What is learnt from."""

    short: Sequence[Example]
    every: Sequence[Example]


def _lessons(tokenizer: "Tokenizer", played: Mapping[str, Sequence[Played]]) -> Lessons:
    encoded = {
        key: [encode(tokenizer, talk) for each in sample for talk in each.conversations]
        for key, sample in played.items()
    }
    some = encoded["comparison"][: 2 * len(encoded["1a"])]
    others = chain.from_iterable(each for key, each in encoded.items() if key != "comparison")
    return Lessons(short=encoded["comparison"], every=[*some, *others])


def _beginning(
    shape: Shape, tokenizer: "Tokenizer", played: Mapping[str, Sequence[Played]], seed: int
) -> list[Round]:
    """Return two rounds: from copying to all transcripts, and those once more."""
    rng = random.Random(seed)  # noqa: S311 - drawn from a seed to be repeatable
    recitals = [encode(tokenizer, recital(rng)) for _ in range(_N_RECITALS)]
    some = recitals[: len(recitals) // 4]
    lessons = _lessons(tokenizer, played)
    copying, short, mixed, again = _STEPS[shape.name]
    first = (
        Stage(examples=recitals, steps=copying, batch_tokens=3000),
        Stage(examples=[*some, *lessons.short], steps=short, batch_tokens=3400),
        Stage(examples=[*some, *lessons.every], steps=mixed, batch_tokens=4600),
    )
    return [Round(stages=first), Round(stages=(_all(lessons, again),))]


def _going_on(tokenizer: "Tokenizer", played: Mapping[str, Sequence[Played]]) -> list[Round]:
    lessons = _lessons(tokenizer, played)
    rates = (*(_RATE_ON for _ in _STEPS_ON[:-1]), _LAST_RATE_ON)
    return [
        Round(stages=(_all(lessons, steps),), rate=rate)
        for steps, rate in zip(_STEPS_ON, rates, strict=True)
    ]


def _all(lessons: Lessons, steps: int) -> Stage:
    return Stage(examples=lessons.every, steps=steps, batch_tokens=4600)


def _texts(played: Mapping[str, Sequence[Played]]) -> Iterable[str]:
    """Return what the tokenizer is trained on and tried with."""
    some = chain.from_iterable(sample[:_N_TOKENIZED] for sample in played.values())
    talks = chain.from_iterable(each.conversations for each in some)
    return (taught.message.content for talk in talks for taught in talk)
