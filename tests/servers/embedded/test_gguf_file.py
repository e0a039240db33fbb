"""llama.cpp must read the file as transformers reads the checkpoint: same tokens, same logits."""

import json
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from safetensors.numpy import load_file

from engine.endpoint import Endpoint
from scripts.tiny.gguf_file import write_gguf

# Qwen2's expression in the dialect of `re`. Source: tokenizer.json of Qwen/Qwen2.5-3B-Instruct.
_WORDS = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|(?:[^\r\n\w]|_)?[^\W\d_]+|\d| ?(?:[^\s\w]|_)+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPECIAL = re.compile(r"(<\|[a-z_]+\|>)")
_STRINGS = (
    "the model writes code",
    "def f(x):\n    return x ** 2\n\n\nprint(f(12345))",
    "```python\nfrom introspection import weights\nprint(weights.get_names())\n```",
    "<|im_start|>user\nthe model<|im_end|>\n<|im_start|>assistant\n",
    "caf\u00e9 na\u00efve \u65e5\u672c\u8a9e \U0001f389 \u2014 \u201cquotes\u201d",
    "don't I'LL we've",
    "  leading\ttabs \t\n trailing   ",
    "\r\n\n \n",
    "_name __dunder__ a.b[c]{d}",
)


def _tokenize(text: str, tokenizer: dict[str, Any]) -> list[int]:
    """What `tokenizers` does with this tokenizer.json, from the definition of byte-level BPE."""
    special = {added["content"]: added["id"] for added in tokenizer["added_tokens"]}
    ids: list[int] = []
    for part in _SPECIAL.split(text):
        if part in special:
            ids.append(special[part])
        else:
            for word in _WORDS.findall(part):
                ids += _bpe(word, tokenizer["model"])
    return ids


def _bpe(word: str, model: dict[str, Any]) -> list[int]:
    vocab: dict[str, int] = model["vocab"]
    letters = list(vocab)[:256]
    ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}
    parts = [letters[byte] for byte in word.encode()]
    while len(parts) > 1:
        pairs = enumerate(pairwise(parts))
        rank, at = min((ranks.get(pair, len(ranks)), at) for at, pair in pairs)
        if rank == len(ranks):
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return [vocab[part] for part in parts]


def _random_strings(n_strings: int) -> list[str]:
    draw = random.Random(5)  # noqa: S311 - reproducible, not secret
    alphabet = "the modl_Z09.,'\n\t(){}\u00e9\u6f22\U0001f389-<|>\r  =:\""
    return ["".join(draw.choices(alphabet, k=draw.randint(1, 40))) for _ in range(n_strings)]


async def _post(endpoint: Endpoint, path: str, body: dict[str, Any]) -> dict[str, Any]:
    url = endpoint.url.removesuffix("/v1") + path
    async with aiohttp.ClientSession() as client, client.post(url, json=body) as reply:
        return await reply.json()


def _logits(
    tokens: list[int], weights: dict[str, np.ndarray], config: dict[str, Any]
) -> np.ndarray:
    """Forward pass, float (tokens, vocabulary). Source: modeling_qwen2.py of transformers 5."""
    n_heads, n_kv = int(config["num_attention_heads"]), int(config["num_key_value_heads"])
    n, head_dim = len(tokens), int(config["hidden_size"]) // n_heads
    rates = float(config["rope_theta"]) ** -(np.arange(0, head_dim, 2) / head_dim)
    angles: np.ndarray = np.tile(np.outer(np.arange(n), rates), 2)[:, None, :]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + config["rms_norm_eps"]) * weights[name]

    def rotate(x: np.ndarray) -> np.ndarray:
        left, right = np.split(x, 2, axis=-1)
        return x * np.cos(angles) + np.concatenate([-right, left], -1) * np.sin(angles)

    def attend(h: np.ndarray, at: str) -> np.ndarray:
        q, k, v = (
            (h @ weights[f"{at}{p}_proj.weight"].T + weights[f"{at}{p}_proj.bias"]).reshape(
                n, -1, head_dim
            )
            for p in "qkv"
        )
        k, v = (np.repeat(part, n_heads // n_kv, axis=1) for part in (rotate(k), v))
        scores = np.einsum("qhd,khd->hqk", rotate(q), k) / np.sqrt(head_dim)
        scores = np.exp(scores + np.triu(np.full((n, n), -np.inf), 1) - scores.max())
        mixed = np.einsum("hqk,khd->qhd", scores / scores.sum(-1, keepdims=True), v)
        return mixed.reshape(n, -1) @ weights[f"{at}o_proj.weight"].T

    def feed(h: np.ndarray, at: str) -> np.ndarray:
        gate = h @ weights[f"{at}gate_proj.weight"].T
        up = h @ weights[f"{at}up_proj.weight"].T
        return gate / (1 + np.exp(-gate)) * up @ weights[f"{at}down_proj.weight"].T

    x = weights["model.embed_tokens.weight"][tokens]
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        x = x + attend(norm(x, f"{at}input_layernorm.weight"), f"{at}self_attn.")
        x = x + feed(norm(x, f"{at}post_attention_layernorm.weight"), f"{at}mlp.")
    return norm(x, "model.norm.weight") @ weights["model.embed_tokens.weight"].T


@pytest.mark.parametrize("text", _STRINGS)
async def test_text_is_tokenised_as_in_training(
    text: str, checkpoint: Path, endpoint: Endpoint
) -> None:
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    reply = await _post(endpoint, "/tokenize", {"content": text, "parse_special": True})
    assert reply["tokens"] == _tokenize(text, tokenizer)


async def test_random_text_is_tokenised_as_in_training(
    checkpoint: Path, endpoint: Endpoint
) -> None:
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    for text in _random_strings(100):
        reply = await _post(endpoint, "/tokenize", {"content": text, "parse_special": True})
        assert reply["tokens"] == _tokenize(text, tokenizer), repr(text)


async def test_the_served_model_computes_what_the_checkpoint_says(
    checkpoint: Path, endpoint: Endpoint
) -> None:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    stored = load_file(checkpoint / "model.safetensors")
    weights = {name: tensor.astype(np.float32) for name, tensor in stored.items()}
    tokens = _tokenize(_STRINGS[2], tokenizer)
    body = {"prompt": tokens, "n_predict": 32, "temperature": 0, "return_tokens": True}

    reply = await _post(endpoint, "/completion", body)

    for token in reply["tokens"]:
        logits = _logits(tokens, weights, config)[-1]
        assert logits[token] == pytest.approx(logits.max(), abs=0.02)
        tokens.append(token)
    assert len(reply["tokens"]) == 32


def test_another_architecture_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    with pytest.raises(ValueError, match="'llama'"):
        write_gguf(tmp_path, tmp_path / "model.gguf")
    assert not (tmp_path / "model.gguf").exists()
