"""Sentences about what a layer is and does, with what is known of it. Pure."""

from collections.abc import Iterable, Mapping

from engine.introspection.checkpoint import Checkpoint, Parameter
from engine.introspection.describe import summary
from engine.introspection.layers import Layer

_TRANSPOSED = frozenset({"gpt2", "openai-gpt"})
"""Model types whose matrices inside a decoder layer are stored as (inputs, outputs)."""
_N_SHOWN = 8

Figures = Mapping[str, object]


def explanation(layer: Layer, checkpoint: Checkpoint) -> str:
    """Return one or two sentences on what `layer` is and does."""
    return _TEXTS[layer.kind](layer, checkpoint) + _shared_text(layer, checkpoint)


def _decoder_text(layer: Layer, _checkpoint: Checkpoint) -> str:
    if layer.has_attention:
        return "One step of the stack: attention, then an MLP, each added to its input."
    return f"One step of the stack; its parts are {_names(layer.children)}."


def _attention_text(_layer: Layer, checkpoint: Checkpoint) -> str:
    figures = summary(checkpoint)
    queries, keys = figures["n_attention_heads"], figures["n_key_value_heads"]
    if queries is None or keys is None:
        return "Mixes information between positions."
    size = "" if figures["head_dim"] is None else f" of size {figures['head_dim']}"
    grouped = " (several query heads share a key/value head)" if queries != keys else ""
    return (
        f"Mixes information between positions: {queries} query heads and {keys} key/value"
        f" {'head' if keys == 1 else 'heads'}{size}{grouped}."
    )


def _mlp_text(layer: Layer, checkpoint: Checkpoint) -> str:
    if any(name.rpartition(".")[2] == "experts" for name in layer.children):
        return _experts_text(checkpoint.config)
    figures = summary(checkpoint)
    hidden, inner = figures["hidden_size"], figures["intermediate_size"]
    is_known = hidden is not None and inner is not None
    sizes = f": {hidden} values to {inner} and back" if is_known else ""
    activation = figures["activation"]
    with_it = f", with the activation {activation}" if activation is not None else ""
    return f"Transforms each position by itself{sizes}{with_it}."


def _experts_text(config: Figures) -> str:
    keys = ("num_experts", "num_local_experts", "n_routed_experts")
    count = next((config[key] for key in keys if config.get(key) is not None), None)
    used = config.get("num_experts_per_tok")
    how_many = f"{used} of {count}" if count is not None and used is not None else "some of its"
    return f"Transforms each position by itself, with {how_many} experts that are chosen for it."


def _linear_text(layer: Layer, checkpoint: Checkpoint) -> str:
    is_transposed = checkpoint.config.get("model_type") in _TRANSPOSED and layer.name.rpartition(
        "."
    )[2] in {"c_attn", "c_proj", "c_fc"}
    order = "(inputs, outputs)" if is_transposed else "(outputs, inputs)"
    return f"Multiplies by a matrix of shape {_shape(layer, checkpoint)} {order}."


def _embedding_text(layer: Layer, checkpoint: Checkpoint) -> str:
    last = layer.name.rpartition(".")[2]
    what = "position" if last == "wpe" or "position" in last else "token"
    return f"Table that turns a {what} into a vector: {_shape(layer, checkpoint)}."


def _module_text(layer: Layer, checkpoint: Checkpoint) -> str:
    if layer.children:
        return f"Holds {_counted(len(layer.children))}."
    start = len(layer.name) + 1
    shapes = {name[start:]: list(checkpoint.parameters[name].shape) for name in layer.parameters}
    return f"Holds parameters: {_names(f'{name} {shape}' for name, shape in shapes.items())}."


def _norm_text(_layer: Layer, _checkpoint: Checkpoint) -> str:
    return "Scales the values of each position to a common size."


def _list_text(layer: Layer, _checkpoint: Checkpoint) -> str:
    return f"Holds {_counted(len(layer.children))}, applied one after another."


_TEXTS = {
    "decoder layer": _decoder_text,
    "attention": _attention_text,
    "mlp": _mlp_text,
    "norm": _norm_text,
    "embedding": _embedding_text,
    "linear": _linear_text,
    "layer list": _list_text,
    "module": _module_text,
}


def _shared_text(layer: Layer, checkpoint: Checkpoint) -> str:
    shared = checkpoint.parameters[layer.parameters[0]].shared_with
    return f" It uses the same values as {shared}." if shared else ""


def _shape(layer: Layer, checkpoint: Checkpoint) -> list[int]:
    return list(_matrix(checkpoint.parameters[name] for name in layer.parameters).shape)


def _matrix(parameters: Iterable[Parameter]) -> Parameter:
    return max(parameters, key=lambda each: len(each.shape))


def _counted(n_layers: int) -> str:
    return f"{n_layers} layer" if n_layers == 1 else f"{n_layers} layers"


def _names(names: Iterable[str]) -> str:
    every = [name.rpartition(".")[2] for name in names]
    return ", ".join(every[:_N_SHOWN])
