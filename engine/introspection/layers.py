"""The tree of layers, derived from the names of the parameters. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from engine.introspection.checkpoint import Parameter
from engine.introspection.names import in_model_order

_N_MATRIX_AXES = 2
_LISTS = frozenset({"layers", "h", "blocks"})


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """One torch module that holds parameters, itself or in its children."""

    name: str
    kind: str
    """"decoder layer", "attention", "mlp", "linear", "embedding", "norm", "layer list" or
    "module"."""
    children: tuple[str, ...]
    has_attention: bool
    """One of its children is attention."""
    parameters: tuple[str, ...]
    """Names of all parameters under it."""


def layers_of(parameters: Mapping[str, Parameter]) -> dict[str, Layer]:
    """Return all layers by name, in the order of the model."""
    under: dict[str, list[str]] = {}
    for name in parameters:
        for layer in _ancestors(name):
            under.setdefault(layer, []).append(name)
    names = in_model_order(under)
    children = _children(names)
    kinds = {name: _kind(name, [parameters[each] for each in under[name]]) for name in names}
    return {
        name: Layer(
            name=name,
            kind=kinds[name],
            children=tuple(children.get(name, ())),
            has_attention=any(kinds[each] == "attention" for each in children.get(name, ())),
            parameters=tuple(under[name]),
        )
        for name in names
    }


def attending_of(layers: Mapping[str, Layer]) -> list[str]:
    """Return the names of the decoder layers that have attention, in the order of the model."""
    found = (each for each in layers.values() if each.kind == "decoder layer")
    return [each.name for each in found if each.has_attention]


def _ancestors(parameter: str) -> Iterable[str]:
    parts = parameter.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts)))


def _children(names: Iterable[str]) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {}
    for name in names:
        parent = name.rpartition(".")[0]
        if parent:
            children.setdefault(parent, []).append(name)
    return children


def _kind(name: str, parameters: list[Parameter]) -> str:
    last = name.rpartition(".")[2]
    own = [each for each in parameters if each.name.rpartition(".")[0] == name]
    if len(own) == len(parameters):
        return _leaf_kind(last, max(len(each.shape) for each in own))
    if last.isdecimal():
        return "decoder layer" if name.split(".")[-2] in _LISTS else "module"
    if "linear_attn" in last:
        return "module"
    for part, kind in (("attn", "attention"), ("attention", "attention"), ("mlp", "mlp")):
        if part in last:
            return kind
    return "layer list" if last in _LISTS else "module"


def _leaf_kind(last: str, n_axes: int) -> str:
    if n_axes != _N_MATRIX_AXES:
        return "norm" if n_axes < _N_MATRIX_AXES else "module"
    is_embedding = ("embed" in last and last != "embed_out") or last in {"wte", "wpe"}
    return "embedding" if is_embedding else "linear"
