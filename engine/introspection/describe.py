"""Sentences and figures about a model's structure, from its configuration and parameters. Pure."""

from engine.introspection.checkpoint import Checkpoint
from engine.introspection.implied import declared_dtype
from engine.introspection.layers import Layer
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


def summary(checkpoint: Checkpoint) -> dict[str, object]:
    """Return the figures that describe the whole model; None for what is not known."""
    config = checkpoint.config
    sizes = {name: _first(checkpoint, keys) for name, keys in _FROM_CONFIG.items()}
    figures = {
        "model_type": config.get("model_type"),
        "n_parameters": checkpoint.n_values or None,
        **sizes,
        "head_dim": sizes["head_dim"] or _head_dim(sizes),
        "tied_embeddings": _is_tied(checkpoint),
        "dtype": _dtype(checkpoint),
    }
    scheme = scheme_of(config)
    quantization = checkpoint.served_as or (scheme.label if scheme else None)
    return {**figures, "quantization": quantization} if quantization else figures


def explanation(layer: Layer, checkpoint: Checkpoint) -> str:
    """Return one or two sentences on what `layer` is and does."""
    figures = summary(checkpoint)
    texts = {
        "decoder layer": "One step of the stack: attention, then an MLP, each added to its input.",
        "attention": _attention_text(figures),
        "mlp": "Transforms each position by itself: {hidden_size} values to {intermediate_size}"
        " and back, with the activation {activation}.",
        "norm": "Scales the values of each position to a common size.",
        "embedding": "Table that turns a token into a vector: {shape}.",
        "linear": "Multiplies by a matrix of shape {shape} (outputs, inputs).",
        "layer list": "Holds {n_children} layers, applied one after another.",
        "module": "Holds {n_children} layers.",
    }
    own = checkpoint.parameters[layer.parameters[0]]
    shared = f" It uses the same values as {own.shared_with}." if own.shared_with else ""
    facts = {**figures, "n_children": len(layer.children), "shape": list(own.shape)}
    return texts[layer.kind].format(**facts) + shared


def _attention_text(figures: dict[str, object]) -> str:
    is_grouped = figures["n_attention_heads"] != figures["n_key_value_heads"]
    grouped = " (several query heads share a key/value head)" if is_grouped else ""
    return (
        "Mixes information between positions: {n_attention_heads} query heads and"
        f" {{n_key_value_heads}} key/value heads of size {{head_dim}}{grouped}."
    )


def _first(checkpoint: Checkpoint, keys: tuple[str, ...]) -> object:
    """Return what the first of `keys` that is there says; None if that is a list, say."""
    values = (checkpoint.config.get(key) for key in keys)
    found = next((value for value in values if value is not None), None)
    return found if isinstance(found, int | float | str) else None


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
