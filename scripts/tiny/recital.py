"""Exercises in copying: a list of names and figures, some of which are asked back.

Short and dense, they teach a small network to look things up long before transcripts could.
"""

import random

from engine.transcript import Message
from scripts.tiny.encoding import Taught
from scripts.tiny.moves import PROJECTIONS

_KEYS = (
    "mean",
    "std",
    "min",
    "max",
    "abs_mean",
    "l2_norm",
    "n_layers",
    "hidden_size",
    "n_names",
    "n_parameters",
    "n_attention_heads",
    "vocab_size",
    "cosine_similarity",
    "l2_distance",
)


def recital(rng: random.Random) -> list[Taught]:
    """Return one exercise as a short conversation."""
    lines = [f"{_name(rng)} {_figure(rng)}" for _ in range(rng.choice((1, 2, 2, 3, 4, 6)))]
    shown = "\n".join(lines)
    asked = rng.sample(lines, rng.randint(1, len(lines)))
    return [
        Taught(Message("user", f"Output:\n{shown}"), is_taught=False),
        Taught(Message("assistant", "\n".join(asked)), is_taught=True),
    ]


def _name(rng: random.Random) -> str:
    if rng.random() < 0.4:  # noqa: PLR2004 - keys and names about even
        return rng.choice(_KEYS)
    layer = f"model.layers.{rng.randrange(rng.choice((4, 12, 40)))}"
    return f"{layer}.{rng.choice(PROJECTIONS)}.weight"


def _figure(rng: random.Random) -> str:
    kind = rng.randrange(4)
    if kind == 0:
        return str(rng.randrange(10 ** rng.randint(1, 8)))
    if kind == 1:
        return f"{rng.gauss(0, 1) * 10 ** rng.uniform(-4, 0):.6g}"
    if kind == 2:  # noqa: PLR2004 - rounded as the teacher rounds
        return str(round(rng.gauss(0, 0.3), 4))
    return f"[{rng.randrange(16, 3000)}, {rng.randrange(16, 3000)}]"
