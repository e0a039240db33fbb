"""Tiny Qwen2-shaped checkpoints with random weights: plain, GPTQ and AWQ, packed by hand.

The head dimension is 32: vLLM's CPU build computes no smaller one. One token per byte.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Method = Literal["plain", "gptq", "awq"]

HEAD_DIM = 32
VOCAB = 320
WINDOW_TOKENS = 16384
GROUP = 32
_NIBBLES = 8
_AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


class Shape(NamedTuple):
    """What sets one checkpoint apart."""

    hidden: int = 128
    n_layers: int = 2
    method: Method = "plain"
    seed: int = 0

    @property
    def intermediate(self) -> int:
        return 2 * self.hidden

    @property
    def n_heads(self) -> int:
        return self.hidden // HEAD_DIM

    @property
    def n_kv_heads(self) -> int:
        return self.n_heads // 2


def write_checkpoint(folder: Path, shape: Shape) -> Path:
    """Write config, tokenizer and weights; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", _config(shape))
    _write_json(folder / "tokenizer.json", _tokenizer())
    _write_json(folder / "tokenizer_config.json", _tokenizer_config())
    (folder / "chat_template.jinja").write_text(_TEMPLATE)
    save_file(dict(_tensors(shape)), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def _config(shape: Shape) -> dict[str, object]:
    config: dict[str, object] = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.n_layers,
        "intermediate_size": shape.intermediate,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "vocab_size": VOCAB,
        "max_position_embeddings": WINDOW_TOKENS,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "torch_dtype": "float32" if shape.method == "plain" else "float16",
        "eos_token_id": 256 + _SPECIAL.index("<|im_end|>"),
    }
    quantization = _QUANTIZATION.get(shape.method)
    return config if quantization is None else config | {"quantization_config": quantization}


_QUANTIZATION: dict[Method, dict[str, object]] = {
    "gptq": {
        "quant_method": "gptq",
        "bits": 4,
        "group_size": GROUP,
        "desc_act": False,
        "sym": True,
        "lm_head": False,
    },
    "awq": {
        "quant_method": "awq",
        "bits": 4,
        "group_size": GROUP,
        "zero_point": True,
        "version": "gemm",
    },
}


def _tensors(shape: Shape) -> Iterator[tuple[str, Array]]:
    random = np.random.default_rng(shape.seed)
    float_type = np.float32 if shape.method == "plain" else np.float16

    def draw(*sizes: int) -> Floats:
        return (random.standard_normal(sizes) * 0.05).astype(np.float32)

    yield "model.embed_tokens.weight", draw(VOCAB, shape.hidden).astype(float_type)
    yield "model.norm.weight", np.ones(shape.hidden, float_type)
    for layer in range(shape.n_layers):
        prefix = f"model.layers.{layer}."
        for name, n_out, n_in in _linears(shape):
            for part, tensor in _PACKED[shape.method](draw(n_out, n_in)).items():
                yield f"{prefix}{name}.{part}", tensor
            if name.endswith(("q_proj", "k_proj", "v_proj")):
                yield f"{prefix}{name}.bias", draw(n_out).astype(float_type)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}{norm}.weight", np.ones(shape.hidden, float_type)


def _linears(shape: Shape) -> Iterator[tuple[str, int, int]]:
    hidden, intermediate = shape.hidden, shape.intermediate
    keys = shape.n_kv_heads * HEAD_DIM
    yield "self_attn.q_proj", hidden, hidden
    yield "self_attn.k_proj", keys, hidden
    yield "self_attn.v_proj", keys, hidden
    yield "self_attn.o_proj", hidden, hidden
    yield "mlp.gate_proj", intermediate, hidden
    yield "mlp.up_proj", intermediate, hidden
    yield "mlp.down_proj", hidden, intermediate


def _plain(weight: Floats) -> dict[str, Array]:
    return {"weight": weight}


def _gptq(weight: Floats) -> dict[str, Array]:
    """Symmetric around 8; the format stores each zero point minus one; rows are packed."""
    groups = _grouped(weight)
    scales = np.abs(groups).max(axis=1) / 7
    levels = np.clip(np.rint(groups / scales[:, None]) + 8, 0, 15).astype(np.int64)
    flat = levels.reshape(weight.shape[1], weight.shape[0])
    zeros = np.full((len(scales), weight.shape[0]), 7, np.int64)
    return {
        "qweight": _pack(flat.T).T.copy(),
        "qzeros": _pack(zeros),
        "scales": scales.astype(np.float16),
        "g_idx": (np.arange(weight.shape[1]) // GROUP).astype(np.int32),
    }


def _awq(weight: Floats) -> dict[str, Array]:
    """With zero points; columns are packed, in AWQ's own order."""
    groups = _grouped(weight)
    low, high = groups.min(axis=1), groups.max(axis=1)
    scales = (high - low) / 15
    zeros = np.clip(np.rint(-low / scales), 0, 15).astype(np.int64)
    levels = np.rint(groups / scales[:, None]).astype(np.int64) + zeros[:, None]
    flat = np.clip(levels, 0, 15).reshape(weight.shape[1], weight.shape[0])
    return {
        "qweight": _pack(flat, _AWQ_ORDER),
        "qzeros": _pack(zeros, _AWQ_ORDER),
        "scales": scales.astype(np.float16),
    }


_PACKED: dict[Method, Callable[[Floats], dict[str, Array]]] = {
    "plain": _plain,
    "gptq": _gptq,
    "awq": _awq,
}


def _grouped(weight: Floats) -> Floats:
    """(out, in) -> (groups, inputs of a group, out)."""
    return weight.T.reshape(-1, GROUP, weight.shape[0])


def _pack(levels: Integers, order: tuple[int, ...] = tuple(range(_NIBBLES))) -> Array:
    """Put eight 4-bit levels of a row into one integer, the first of `order` lowest."""
    parts = levels.reshape(levels.shape[0], -1, _NIBBLES)
    packed = np.zeros(parts.shape[:2], np.int64)
    for place, source in enumerate(order):
        packed |= parts[:, :, source] << (4 * place)
    return packed.astype(np.uint32).view(np.int32)


def _tokenizer() -> dict[str, object]:
    added = [
        {
            "id": 256 + place,
            "content": text,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for place, text in enumerate(_SPECIAL)
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": level | {"use_regex": True},
        "decoder": level | {"use_regex": True},
        "model": {"type": "BPE", "vocab": _byte_letters(), "merges": []},
    }


def _byte_letters() -> dict[str, int]:
    """Every byte as the printable letter that byte-level tokenizers write for it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable}
    letters |= {byte: chr(256 + place) for place, byte in enumerate(others)}
    return {letters[byte]: place for place, byte in enumerate(printable + others)}


def _tokenizer_config() -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": WINDOW_TOKENS,
    }
