"""Writes a Qwen2-shaped checkpoint as one GGUF file, which is what llama.cpp serves.

Input is a directory as transformers writes it: config.json, model.safetensors, tokenizer.json,
tokenizer_config.json and, if there is one, chat_template.jinja. Only what the tiny models use is
understood: float weights of the Qwen2 architecture, a byte-level BPE tokenizer, plain rope.

Matrices are stored as float16, norms and biases as float32, as llama.cpp wants them. Qwen2 needs no
permutation of the query and key rows: both llama.cpp and transformers rotate halves of a head.

Known difference: llama.cpp does not normalise text to NFC, as transformers does for Qwen2, so a
letter written with a combining accent is tokenised otherwise.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from gguf import GGUFWriter, LlamaFileType, TokenType
from numpy.typing import NDArray
from safetensors.numpy import load_file

Json = dict[str, Any]
Matrix = NDArray[np.float16] | NDArray[np.float32]

_LAYER_PARTS = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.q_proj.bias": "attn_q.bias",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.k_proj.bias": "attn_k.bias",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.v_proj.bias": "attn_v.bias",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}
_WHOLE_PARTS = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


class Vocabulary(NamedTuple):
    """Tokens in the order of their ids, and the kind of each."""

    tokens: list[str]
    kinds: list[TokenType]


def write_gguf(model_dir: Path, out: Path) -> None:
    """Write the checkpoint in `model_dir` to the GGUF file `out`, which is replaced whole.

    Raises:
        ValueError: the checkpoint is not one this writer understands; the message says why.
    """
    config = _read_json(model_dir / "config.json")
    _refuse_what_is_not_understood(config)
    partial = out.with_name(out.name + ".partial")
    writer = GGUFWriter(partial, "qwen2")
    writer.add_name(model_dir.name)
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    _add_shape(writer, config)
    _add_tokenizer(writer, model_dir, config)
    for name, tensor in _tensors(model_dir, is_tied=bool(config.get("tie_word_embeddings"))):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(out)


def _read_json(path: Path) -> Json:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _refuse_what_is_not_understood(config: Json) -> None:
    hidden, n_heads = config["hidden_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim") or hidden // n_heads
    if config.get("model_type") != "qwen2":
        msg = f"model_type is {config.get('model_type')!r}; only 'qwen2' can be written"
        raise ValueError(msg)
    if head_dim * n_heads != hidden:
        msg = f"head_dim {head_dim} x {n_heads} heads is not hidden_size {hidden}"
        raise ValueError(msg)
    if _rope(config).get("rope_type", "default") != "default":
        msg = f"rope scaling {_rope(config)!r} is not supported; use plain rope"
        raise ValueError(msg)


def _rope(config: Json) -> Json:
    """Return the rope settings, which transformers 5 keeps in `rope_parameters`."""
    return config.get("rope_parameters") or config.get("rope_scaling") or {}


def _add_shape(writer: GGUFWriter, config: Json) -> None:
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(_rope(config).get("rope_theta") or config.get("rope_theta", 10_000.0))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _add_tokenizer(writer: GGUFWriter, model_dir: Path, config: Json) -> None:
    tokenizer = _read_json(model_dir / "tokenizer.json")
    settings = _read_json(model_dir / "tokenizer_config.json")
    vocabulary = _vocabulary(tokenizer, n_tokens=config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    # The name stands for Qwen2's regular expression, which transformers and vLLM put in place of
    # whatever tokenizer.json says as soon as model_type is qwen2.
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    writer.add_token_merges([_merge(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_add_bos_token(value=False)
    _add_special_tokens(writer, settings, vocabulary.tokens)
    template = _chat_template(model_dir, settings)
    if template:
        writer.add_chat_template(template)


def _vocabulary(tokenizer: Json, *, n_tokens: int) -> Vocabulary:
    """Return all `n_tokens` tokens; ids that the tokenizer leaves free become unused tokens."""
    tokens = [f"[PAD{index}]" for index in range(n_tokens)]
    kinds = [TokenType.UNUSED] * n_tokens
    for token, index in cast("Mapping[str, int]", tokenizer["model"]["vocab"]).items():
        tokens[index], kinds[index] = token, TokenType.NORMAL
    for added in tokenizer.get("added_tokens", []):
        kind = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
        tokens[added["id"]], kinds[added["id"]] = added["content"], kind
    return Vocabulary(tokens, kinds)


def _merge(pair: str | list[str]) -> str:
    """Return a merge as GGUF writes it; tokenizer.json has "a b" or ["a", "b"] by its age."""
    return pair if isinstance(pair, str) else " ".join(pair)


def _add_special_tokens(writer: GGUFWriter, settings: Json, tokens: list[str]) -> None:
    for role, add in (
        ("eos_token", writer.add_eos_token_id),
        ("pad_token", writer.add_pad_token_id),
        ("bos_token", writer.add_bos_token_id),
    ):
        token = settings.get(role)
        content = token["content"] if isinstance(token, dict) else token
        if content is not None:
            add(tokens.index(cast("str", content)))


def _chat_template(model_dir: Path, settings: Json) -> str | None:
    file = model_dir / "chat_template.jinja"
    return file.read_text(encoding="utf-8") if file.is_file() else settings.get("chat_template")


def _tensors(model_dir: Path, *, is_tied: bool) -> Iterator[tuple[str, Matrix]]:
    for name, tensor in load_file(model_dir / "model.safetensors").items():
        if is_tied and name == "lm_head.weight":
            continue
        wide = tensor.astype(np.float32)
        yield _gguf_name(name), wide if wide.ndim == 1 else wide.astype(np.float16)


def _gguf_name(name: str) -> str:
    """Return llama.cpp's name of a tensor that transformers calls `name`."""
    if name in _WHOLE_PARTS:
        return _WHOLE_PARTS[name]
    _model, _layers, index, part = name.split(".", 3)
    return f"blk.{index}.{_LAYER_PARTS[part]}"
