"""Checkpoints for the teacher to investigate: real files, random sizes, random values."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from scripts.tiny.shape import HEAD_DIM, MAX_POSITIONS, SHAPES, VOCAB_SIZE

_FAMILIES = ("qwen2", "qwen2", "llama", "mistral", "gemma", "qwen3")
_MOST_VALUES = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Build:
    """Sizes of one checkpoint."""

    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    is_tied: bool

    def config(self) -> dict[str, object]:
        """Return its config.json."""
        return {
            "model_type": self.family,
            "num_hidden_layers": self.layers,
            "hidden_size": self.hidden,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.intermediate,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": MAX_POSITIONS,
            "hidden_act": "silu",
            "tie_word_embeddings": self.is_tied,
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor by name."""
        shapes: dict[str, tuple[int, ...]] = {
            "model.embed_tokens.weight": (self.vocabulary, self.hidden),
            "model.norm.weight": (self.hidden,),
        }
        if not self.is_tied:
            shapes["lm_head.weight"] = (self.vocabulary, self.hidden)
        for layer in range(self.layers):
            inside = self._layer_shapes().items()
            shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in inside}
        return shapes

    def _layer_shapes(self) -> dict[str, tuple[int, ...]]:
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        shapes: dict[str, tuple[int, ...]] = {
            "input_layernorm.weight": (self.hidden,),
            "self_attn.q_proj.weight": (queries, self.hidden),
            "self_attn.k_proj.weight": (keys, self.hidden),
            "self_attn.v_proj.weight": (keys, self.hidden),
            "self_attn.o_proj.weight": (self.hidden, queries),
            "post_attention_layernorm.weight": (self.hidden,),
            "mlp.gate_proj.weight": (self.intermediate, self.hidden),
            "mlp.up_proj.weight": (self.intermediate, self.hidden),
            "mlp.down_proj.weight": (self.hidden, self.intermediate),
        }
        if self.family == "qwen2":
            sizes = {"q": queries, "k": keys, "v": keys}
            shapes |= {f"self_attn.{each}_proj.bias": (size,) for each, size in sizes.items()}
        return shapes

    @property
    def n_values(self) -> int:
        """Number of weights."""
        return sum(int(np.prod(shape)) for shape in self.shapes().values())


def own_builds() -> list[Build]:
    """Return the builds of the tiny models themselves."""
    return [
        Build(
            family="qwen2",
            layers=shape.layers,
            hidden=shape.hidden,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            head_dim=HEAD_DIM,
            intermediate=shape.intermediate,
            vocabulary=VOCAB_SIZE,
            is_tied=True,
        )
        for shape in SHAPES.values()
    ]


def random_build(rng: random.Random) -> Build:
    """Return a build of random sizes with at most about four million weights."""
    while True:
        head_dim = rng.choice((16, 32, 64))
        heads = rng.choice((2, 3, 4, 5, 6, 7, 8, 12))
        build = Build(
            family=rng.choice(_FAMILIES),
            layers=rng.choice((2, 3, 4, 5, 6, 8, rng.randint(2, 40), rng.randint(9, 40))),
            hidden=rng.choice((heads * head_dim, 64, 96, 160, 192, 256)),
            heads=heads,
            kv_heads=rng.choice([n for n in range(1, heads + 1) if heads % n == 0]),
            head_dim=head_dim,
            intermediate=rng.randrange(64, 900, 16),
            vocabulary=rng.randint(300, 3000),
            is_tied=rng.random() < 0.6,  # noqa: PLR2004 - an even-handed mix
        )
        if build.n_values <= _MOST_VALUES:
            return build


def write_checkpoint(build: Build, folder: Path, rng: random.Random) -> None:
    """Write config.json and model.safetensors of `build` with random values."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(build.config()), encoding="utf-8")
    numbers = np.random.default_rng(rng.randrange(2**32))
    tensors = {name: _values(shape, numbers, rng) for name, shape in build.shapes().items()}
    save_file(tensors, folder / "model.safetensors")


def _values(
    shape: tuple[int, ...], numbers: np.random.Generator, rng: random.Random
) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    is_norm = len(shape) == 1
    scale = 10 ** rng.uniform(-2.5, -0.3)
    centre = rng.uniform(0.3, 3.0) if is_norm else rng.gauss(0, 0.02) * scale
    drawn = numbers.standard_normal(shape, dtype=np.float32) * scale + centre
    return drawn.astype(np.float16)
