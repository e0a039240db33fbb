"""A small random Qwen2 checkpoint with a byte-level tokenizer, and a real server for it."""

import json
import math
from collections import Counter
from collections.abc import AsyncGenerator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from safetensors.numpy import save_file

from engine.endpoint import Endpoint
from scripts.tiny.gguf_file import write_gguf
from servers.embedded.launcher import serve
from servers.embedded.model import EmbeddedModel, load_model

N_SLOTS = 4

_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_TEXT = "the model writes code and the code prints what the model has measured in its layers"
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SHAPE = {
    "model_type": "qwen2",
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
}


def _byte_letters() -> list[str]:
    """The letter that byte-level BPE writes for each byte (Source: GPT-2, encoder.py)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def _merges(n_merges: int) -> list[list[str]]:
    """Learn the most frequent pairs of `_TEXT`, again and again."""
    words = [list(word) for word in ("\u0120" + _TEXT.replace(" ", " \u0120")).split(" ")]
    merges: list[list[str]] = []
    while len(merges) < n_merges:
        pairs = Counter(pair for word in words for pair in pairwise(word))
        if not pairs:
            break
        left, right = max(sorted(pairs), key=pairs.__getitem__)
        merges.append([left, right])
        words = [_joined(word, left, right) for word in words]
    return merges


def _joined(word: list[str], left: str, right: str) -> list[str]:
    result: list[str] = []
    for part in word:
        if result and result[-1] == left and part == right:
            result[-1] += part
        else:
            result.append(part)
    return result


def _tokenizer() -> dict[str, object]:
    merges = _merges(40)
    tokens = [*_byte_letters(), *("".join(pair) for pair in merges)]
    vocab = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    added = [
        {"id": len(vocab) + n, "content": content, "special": True}
        for n, content in enumerate(_SPECIAL)
    ]
    model = {"type": "BPE", "vocab": vocab, "merges": merges}
    return {"version": "1.0", "added_tokens": added, "model": model}


def _centre(name: str) -> float:
    return 1.0 if "norm" in name else 0.0


def _weights(n_tokens: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(7)
    hidden, ffn, kv = 64, 96, 32
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (n_tokens, hidden)}
    for layer in range(2):
        at = f"model.layers.{layer}."
        for name, rows in (("q", hidden), ("k", kv), ("v", kv)):
            shapes[f"{at}self_attn.{name}_proj.weight"] = (rows, hidden)
            shapes[f"{at}self_attn.{name}_proj.bias"] = (rows,)
        shapes[f"{at}self_attn.o_proj.weight"] = (hidden, hidden)
        shapes[f"{at}mlp.gate_proj.weight"] = (ffn, hidden)
        shapes[f"{at}mlp.up_proj.weight"] = (ffn, hidden)
        shapes[f"{at}mlp.down_proj.weight"] = (hidden, ffn)
        shapes[f"{at}input_layernorm.weight"] = (hidden,)
        shapes[f"{at}post_attention_layernorm.weight"] = (hidden,)
    shapes["model.norm.weight"] = (hidden,)
    return {
        name: (draw.standard_normal(shape) / math.sqrt(shape[-1])).astype(np.float16)
        if len(shape) == 2
        else (_centre(name) + 0.3 * draw.standard_normal(shape)).astype(np.float16)
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("checkpoint")
    tokenizer = _tokenizer()
    n_tokens = 320  # more than the tokenizer has, as in real checkpoints
    settings = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    for name, value in (
        ("config.json", _SHAPE | {"vocab_size": n_tokens}),
        ("tokenizer.json", tokenizer),
        ("tokenizer_config.json", settings),
    ):
        (directory / name).write_text(json.dumps(value), encoding="utf-8")
    (directory / "chat_template.jinja").write_text(_TEMPLATE, encoding="utf-8")
    save_file(_weights(n_tokens), directory / "model.safetensors")
    write_gguf(directory, directory / "model.gguf")
    return directory


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> EmbeddedModel:
    return load_model("random", checkpoint)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def endpoint(
    model: EmbeddedModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Endpoint]:
    """One server for all tests that only ask."""
    logs = tmp_path_factory.mktemp("logs")
    async with serve([model], log_dir=logs, n_slots=N_SLOTS) as (served,):
        yield served
