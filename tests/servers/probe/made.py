"""Runs where torch is: small random models of several families, and what they do with a text.

python made.py TOKENIZER_DIR OUT TEXT: writes OUT/<family>/ with a checkpoint and wanted.npz.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

tokenizer_dir, out, text = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
SIZES = {
    "vocab_size": 1152,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 24,
}
OLD = {"vocab_size": 1152, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
STATES = {"vocab_size": 1152, "hidden_size": 32, "state_size": 4, "num_hidden_layers": 2}
CONFIGS = {
    "qwen3": SIZES,
    "gemma3_text": SIZES,
    "qwen2_moe": SIZES | EXPERTS,
    "lfm2": SIZES | {"layer_types": ["conv", "full_attention"]},
    "gpt2": OLD | {"bos_token_id": 0, "eos_token_id": 1},
    "mamba": STATES | {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0},
}
WATCHED = {
    "qwen3": ("model.layers.1.self_attn.q_norm",),
    "gemma3_text": ("model.layers.1.self_attn.q_norm",),
    "qwen2_moe": ("model.layers.0.mlp.gate", "model.layers.0.mlp.shared_expert"),
    "lfm2": ("model.layers.0.conv",),
    "gpt2": ("transformer.h.0", "transformer.wpe"),
    "mamba": ("backbone.layers.0.mixer",),
}


def made(family: str) -> Any:  # noqa: ANN401 - theirs have no types
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(family, **CONFIGS[family]), attn_implementation="eager"
    ).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, 0, 0.2)
    model.save_pretrained(out / family)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer_dir / name, out / family / name)
    return model


def wanted(model: Any, names: Iterable[str], ids: Any) -> dict[str, Any]:  # noqa: ANN401
    kept: dict[str, Any] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: object, _arguments: object, output: Any) -> None:  # noqa: ANN401
            kept[name] = output[0] if isinstance(output, tuple) else output

        return hook

    for name in names:
        model.get_submodule(name).register_forward_hook(keep(name))
    has_maps = hasattr(model.config, "num_attention_heads")
    ran = model(ids, **({"output_attentions": True} if has_maps else {}))
    torch.log_softmax(ran.logits[0, -1], dim=-1).max().backward(inputs=list(kept.values()))
    found = dict(kept) | {f"by {name}": value.grad for name, value in kept.items()}
    return found | ({"attention": ran.attentions[-1][0]} if has_maps else {})


def without_its_body(directory: Path) -> None:
    """As the hub has GPT-2: names of parameters without that of the inner model."""
    path = directory / "model.safetensors"
    stored = {key.removeprefix("transformer."): value for key, value in load_file(path).items()}
    stored.pop("lm_head.weight", None)
    save_file(stored, path, metadata={"format": "pt"})


for each in CONFIGS:
    network = made(each)
    tokens = AutoTokenizer.from_pretrained(out / each)(text, return_tensors="pt")["input_ids"]
    values: dict[str, Any] = {}
    with torch.no_grad():
        written = network.generate(tokens, max_new_tokens=6, do_sample=False)[0]
    values["written"] = written[tokens.shape[1] :]
    values |= wanted(network, WATCHED[each], tokens)
    arrays = {name: value.detach().numpy() for name, value in values.items()}
    np.savez(out / each / "wanted.npz", **arrays)
without_its_body(out / "gpt2")
# The third token of this text's continuation ends a text too, where it is served.
path = out / "qwen3" / "generation_config.json"
said = json.loads(path.read_text())
stop = int(np.load(out / "qwen3" / "wanted.npz")["written"][2])
path.write_text(json.dumps(said | {"eos_token_id": [1, stop]}))
