"""A trained network as files: what transformers, vLLM, llama.cpp and introspection read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.tiny.encoding import END, TEXT_END, save_tokenizer
from scripts.tiny.gguf_file import write_gguf
from scripts.tiny.shape import Shape

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from scripts.tiny.network import Network


def export(
    network: "Network", tokenizer: "Tokenizer", shape: Shape, folder: Path, probes: Iterable[str]
) -> None:
    """Write the model to `folder`; `probes` are texts that must be tokenised as in training."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    end_id, pad_id = tokenizer.token_to_id(END), tokenizer.token_to_id(TEXT_END)
    tensors = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in network.state_dict().items()
    }
    weights = folder / "model.safetensors"
    save_file(tensors, str(weights), metadata={"format": "pt"})
    weights.chmod(0o644)  # written for its owner alone
    _write(folder / "config.json", shape.config(end_id=end_id, pad_id=pad_id))
    generation = {"eos_token_id": [end_id, pad_id], "pad_token_id": pad_id}
    sampling = {"do_sample": True, "temperature": 0.7, "top_p": 0.9}
    _write(folder / "generation_config.json", {**generation, **sampling})
    save_tokenizer(tokenizer, folder)
    _check_tokens(tokenizer, folder, probes)
    write_gguf(folder, folder / "model.gguf")


def _write(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _check_tokens(tokenizer: "Tokenizer", folder: Path, probes: Iterable[str]) -> None:
    """Compare with transformers, which puts Qwen2's own pre-tokenizer into place."""
    from transformers import AutoTokenizer

    served = AutoTokenizer.from_pretrained(str(folder))
    for text in probes:
        assert served(text)["input_ids"] == tokenizer.encode(text).ids, text
