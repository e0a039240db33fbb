"""Figures about a model's structure, from its configuration and parameters. Pure."""

from collections.abc import Mapping

from engine.introspection.checkpoint import Checkpoint
from engine.introspection.implied import declared_dtype
from engine.introspection.quantised import scheme_of

_FROM_CONFIG = {
    "n_layers": ("num_hidden_layers", "n_layer"),
    "hidden_size": ("hidden_size", "n_embd"),
    "n_attention_heads": ("num_attention_heads", "n_head"),
    "n_key_value_heads": ("num_key_value_heads", "num_attention_heads", "n_head"),
    "head_dim": ("head_dim",),
    "intermediate_size": ("intermediate_size", "n_inner"),
    "vocab_size": ("vocab_size",),
    "max_position_embeddings": ("max_position_embeddings", "n_positions"),
    "activation": ("hidden_act", "activation_function", "hidden_activation"),
}
_MULTI_QUERY = frozenset({"falcon", "gpt_bigcode"})


def summary(checkpoint: Checkpoint) -> dict[str, object]:
    """Return the figures that describe the whole model; None for what is not known."""
    config = checkpoint.config
    sizes = {name: _first(checkpoint, keys) for name, keys in _FROM_CONFIG.items()}
    figures = {
        "model_type": config.get("model_type"),
        "n_parameters": checkpoint.n_values or None,
        **sizes,
        "n_key_value_heads": _n_key_value_heads(config, sizes),
        "head_dim": sizes["head_dim"] or _head_dim(sizes),
        "tied_embeddings": _is_tied(checkpoint),
        "dtype": _dtype(checkpoint),
    }
    scheme = scheme_of(config)
    quantization = checkpoint.served_as or (scheme.label if scheme else None)
    return {**figures, "quantization": quantization} if quantization else figures


def _first(checkpoint: Checkpoint, keys: tuple[str, ...]) -> object:
    """Return what the first of `keys` that is there says; None if that is a list, say."""
    values = (checkpoint.config.get(key) for key in keys)
    found = next((value for value in values if value is not None), None)
    return found if isinstance(found, int | float | str) else None


def _n_key_value_heads(config: Mapping[str, object], sizes: Mapping[str, object]) -> object:
    """Return how many there are; families with multi-query attention say so in words of their own.

    Source: transformers 5.19, `configuration_*.py` and `modeling_*.py` of these families.
    """
    if config.get("model_type") not in _MULTI_QUERY:
        return sizes["n_key_value_heads"]
    if config.get("multi_query", True) and not config.get("new_decoder_architecture"):
        return 1
    return config.get("num_kv_heads") or sizes["n_attention_heads"]


def _head_dim(sizes: dict[str, object]) -> int | None:
    hidden, heads = sizes["hidden_size"], sizes["n_attention_heads"]
    return hidden // heads if isinstance(hidden, int) and isinstance(heads, int) and heads else None


def _is_tied(checkpoint: Checkpoint) -> bool | None:
    parameters = checkpoint.parameters.values()
    return any(each.shared_with for each in parameters) if parameters else None


def _dtype(checkpoint: Checkpoint) -> str | None:
    """Return the type in which most weights are stored, or what the configuration says of it."""
    counts: dict[str, int] = {}
    for each in checkpoint.parameters.values():
        counts[each.dtype] = counts.get(each.dtype, 0) + each.n_values
    return max(counts, key=lambda dtype: counts[dtype], default=declared_dtype(checkpoint.config))
