"""A checkpoint as a network in RAM."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
)

from engine.introspection.checkpoint import Checkpoint, open_checkpoint
from engine.introspection.layers import attending_of, layers_of
from servers.probe.program.network import Network


def load(directory: Path, *, dtype: str, n_threads: int) -> Network:
    """Return the network of the checkpoint in `directory`, its weights as torch's `dtype`.

    The values are those that introspection of the weights shows, dequantised ones included.

    Raises:
        RuntimeError: the weights are not those of the architecture that the configuration names.
    """
    torch.set_num_threads(n_threads)
    config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    kind = getattr(torch, dtype)
    checkpoint = open_checkpoint(directory)
    model, found = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)].from_pretrained(
        None,
        config=config,
        state_dict=_state(checkpoint, kind),
        dtype=kind,
        attn_implementation="eager",
        output_loading_info=True,
    )
    if found["missing_keys"] or found["mismatched_keys"]:
        wrong = sorted(map(str, (*found["missing_keys"], *found["mismatched_keys"])))[:5]
        raise RuntimeError(f"{directory}: these weights are missing or misshapen: {wrong}")
    tokenizer = AutoTokenizer.from_pretrained(directory)
    return Network(
        model.eval().requires_grad_(requires_grad=False),
        tokenizer,
        ends=_ends(directory, config) | _ids(tokenizer.eos_token_id),
        n_attending=len(attending_of(layers_of(checkpoint.parameters))),
    )


def _state(checkpoint: Checkpoint, kind: torch.dtype) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, parameter in checkpoint.parameters.items():
        if parameter.shared_with:
            continue
        values = torch.empty(parameter.n_values, dtype=kind)
        place = 0
        for block in checkpoint.blocks(name):
            values[place : place + block.size] = torch.from_numpy(np.ascontiguousarray(block))
            place += block.size
        state[name] = values.reshape(parameter.shape)
    return state


def _ends(directory: Path, config: PreTrainedConfig) -> frozenset[int]:
    """Return the tokens that end a text where it is served."""
    try:
        said = GenerationConfig.from_pretrained(directory)
    except OSError:
        said = GenerationConfig.from_model_config(config)
    return _ids(said.eos_token_id)


def _ids(given: int | Sequence[int] | None) -> frozenset[int]:
    if given is None:
        return frozenset()
    return frozenset((given,) if isinstance(given, int) else given)
