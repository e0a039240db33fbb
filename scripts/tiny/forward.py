"""A Qwen2 checkpoint's own likelihood of a text, in numpy: no torch, no server, no chance."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

Array = NDArray[np.floating[Any]]


class Forward:
    """Reads the checkpoint in a folder and scores token ids with it."""

    def __init__(self, folder: Path) -> None:
        """Load config.json and model.safetensors."""
        self._config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stored = load_file(folder / "model.safetensors")
        self._weights = {name: tensor.astype(np.float32) for name, tensor in stored.items()}

    def surprise(self, ids: list[int]) -> Array:
        """Return the negative log-likelihood of each token after the first, in nats."""
        x = self._weights["model.embed_tokens.weight"][ids]
        for layer in range(self._config["num_hidden_layers"]):
            x = self._layer(x, f"model.layers.{layer}.")
        logits = self._norm(x, "model.norm") @ self._weights["model.embed_tokens.weight"].T
        logits -= logits.max(-1, keepdims=True)
        total = np.log(np.exp(logits).sum(-1))
        return (total[:-1] - logits[np.arange(len(ids) - 1), ids[1:]]).astype(np.float32)

    def _layer(self, x: Array, prefix: str) -> Array:
        x = x + self._attention(self._norm(x, prefix + "input_layernorm"), prefix + "self_attn.")
        y = self._norm(x, prefix + "post_attention_layernorm")
        gate = self._linear(y, prefix + "mlp.gate_proj")
        inside = gate / (1 + np.exp(-gate)) * self._linear(y, prefix + "mlp.up_proj")
        return x + self._linear(inside, prefix + "mlp.down_proj")

    def _attention(self, x: Array, prefix: str) -> Array:
        n_heads, n_kv = (self._config[f"num_{k}_heads"] for k in ("attention", "key_value"))
        query = self._rotated(self._heads(x, prefix + "q_proj", n_heads))
        key = self._rotated(self._heads(x, prefix + "k_proj", n_kv))
        value = self._heads(x, prefix + "v_proj", n_kv)
        key, value = (y.repeat(n_heads // n_kv, axis=0) for y in (key, value))
        scores = query @ key.transpose(0, 2, 1) / np.float32(math.sqrt(query.shape[-1]))
        scores += np.triu(np.full(scores.shape[1:], -np.inf, np.float32), 1)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        return self._linear(mixed.transpose(1, 0, 2).reshape(len(x), -1), prefix + "o_proj")

    def _heads(self, x: Array, name: str, n_heads: int) -> Array:
        return self._linear(x, name).reshape(len(x), n_heads, -1).transpose(1, 0, 2)

    def _rotated(self, x: Array) -> Array:
        _, length, size = x.shape
        frequency = self._config["rope_theta"] ** -(np.arange(0, size, 2) / size)
        angle = np.outer(np.arange(length), frequency)
        cosine, sine = (np.tile(f(angle), 2).astype(np.float32) for f in (np.cos, np.sin))
        first, second = np.split(x, 2, axis=-1)
        return x * cosine + np.concatenate([-second, first], axis=-1) * sine

    def _norm(self, x: Array, name: str) -> Array:
        square = np.square(x).mean(-1, keepdims=True, dtype=np.float32)
        scale = np.sqrt(square + np.float32(self._config["rms_norm_eps"]))
        return x / scale * self._weights[name + ".weight"]

    def _linear(self, x: Array, name: str) -> Array:
        y = x @ self._weights[name + ".weight"].T
        bias = self._weights.get(name + ".bias")
        return y if bias is None else y + bias
