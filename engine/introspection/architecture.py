"""Capability `architecture`: how the served model is built. Docstrings are help text for models."""

from engine.introspection.checkpoint import Checkpoint
from engine.introspection.describe import summary
from engine.introspection.layers import Layer, layers_of
from engine.introspection.names import check_count, matching, pattern_of, unknown_name
from engine.introspection.sentences import explanation

_MAX_LISTED = 40


class Architecture:
    """Your structure: how many layers you have and what they consist of.

    Layers have names such as 'model.layers.0.self_attn'. list_layers() shows them.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Answer about `checkpoint`."""
        self._checkpoint = checkpoint
        self._layers = layers_of(checkpoint.parameters)

    def get_architecture_summary(self) -> dict[str, object]:
        """Summarise your architecture: kind of model, number of layers, sizes.

        Returns:
            dict with model_type, n_parameters (number of weights), n_layers (decoder layers),
            hidden_size, n_attention_heads, n_key_value_heads, head_dim, intermediate_size,
            vocab_size, max_position_embeddings (tokens), activation, tied_embeddings, dtype
            and, if the weights are quantised, quantization.

        Example:
            print(architecture.get_architecture_summary())
        """
        return summary(self._checkpoint)

    def list_layers(self, filter_pattern: str | None = None) -> dict[str, object]:
        """List your layers: grouped, or by name if a filter is given.

        Args:
            filter_pattern: text that the names must contain, case aside; '*' stands for any text.

        Returns:
            dict. Without a filter: n_names and groups (name -> kind and count; '*' in a name
            stands for the index of a decoder layer). With a filter: n_names (matches) and
            layers (the first 40 names).

        Example:
            print(architecture.list_layers("layers.0."))
        """
        if filter_pattern is None:
            return {"n_names": len(self._layers), "groups": self._groups()}
        names = matching(self._layers, filter_pattern)
        return {"n_names": len(names), "layers": names[:_MAX_LISTED]}

    def describe_layer(
        self, layer_name: str | list[str]
    ) -> dict[str, object] | list[dict[str, object]]:
        """Describe in words what a layer is and does.

        Args:
            layer_name: name of a layer, such as 'model.layers.0', or a list of at most 40 names.

        Returns:
            dict with name, kind, description (text) and children (names of the layers inside). A
            list of names gives a list of dicts.

        Example:
            print(architecture.describe_layer("model.layers.0")["description"])
        """
        if isinstance(layer_name, str):
            return self._described(self._layer(layer_name))
        check_count(layer_name, most=_MAX_LISTED)
        return [self._described(self._layer(name)) for name in layer_name]

    def get_layer_info(
        self, layer_name: str | list[str]
    ) -> dict[str, object] | list[dict[str, object]]:
        """Return the numbers of a layer: parameters, their shapes, number of weights.

        Args:
            layer_name: name of a layer, or a list of at most 40 names.

        Returns:
            dict with name, kind, n_parameters (number of weights), n_children and parameters
            (name inside the layer -> shape; the first 40). A list of names gives a list of dicts.

        Example:
            print(architecture.get_layer_info("model.layers.0.mlp"))
        """
        if isinstance(layer_name, str):
            return self._info(self._layer(layer_name))
        check_count(layer_name, most=_MAX_LISTED)
        return [self._info(self._layer(name)) for name in layer_name]

    def find_similar_layers(self, layer_name: str, top_k: int = 5) -> list[dict[str, object]]:
        """Find the layers built most like one layer. Compares structure, not values.

        Args:
            layer_name: name of the layer to compare with.
            top_k: how many to return, 1 to 40.

        Returns:
            list of dicts with name, kind and similarity: share of parameters that agree in name
            and shape, 0 to 1. Most similar first, then nearest.

        Example:
            print(architecture.find_similar_layers("model.layers.0.self_attn", top_k=3))
        """
        wanted = self._layer(layer_name)
        position = list(self._layers).index(wanted.name)
        scored = [
            (-self._similarity(wanted, each), abs(place - position), each)
            for place, each in enumerate(self._layers.values())
            if each.name != wanted.name
        ]
        best = sorted((each for each in scored if each[0]), key=lambda each: each[:2])
        return [
            {"name": layer.name, "kind": layer.kind, "similarity": round(-score, 4)}
            for score, _, layer in best[: max(1, min(top_k, _MAX_LISTED))]
        ]

    def _layer(self, name: str) -> Layer:
        if name in self._layers:
            return self._layers[name]
        raise unknown_name(
            "layer",
            name,
            known=list(self._layers),
            see="architecture.list_layers()",
            instead=self._owner(name),
        )

    def _owner(self, name: str) -> str | None:
        if name not in self._checkpoint.parameters:
            return None
        return f"that is a parameter of layer {name.rpartition('.')[0]!r}"

    def _groups(self) -> dict[str, str]:
        counts: dict[tuple[str, str], int] = {}
        for layer in self._layers.values():
            group = (pattern_of(layer.name), layer.kind)
            counts[group] = counts.get(group, 0) + 1
        return {
            name: kind if count == 1 else f"{kind} x {count}"
            for (name, kind), count in counts.items()
        }

    def _described(self, layer: Layer) -> dict[str, object]:
        return {
            "name": layer.name,
            "kind": layer.kind,
            "description": explanation(layer, self._checkpoint),
            "children": list(layer.children)[:_MAX_LISTED],
        }

    def _info(self, layer: Layer) -> dict[str, object]:
        shapes = self._shapes(layer)
        return {
            "name": layer.name,
            "kind": layer.kind,
            "n_parameters": sum(self._checkpoint.parameters[n].n_values for n in layer.parameters),
            "n_children": len(layer.children),
            "parameters": {name: list(shapes[name]) for name in list(shapes)[:_MAX_LISTED]},
        }

    def _shapes(self, layer: Layer) -> dict[str, tuple[int, ...]]:
        start = len(layer.name) + 1
        return {name[start:]: self._checkpoint.parameters[name].shape for name in layer.parameters}

    def _similarity(self, first: Layer, second: Layer) -> float:
        ours, theirs = self._shapes(first).items(), self._shapes(second).items()
        return len(ours & theirs) / len(ours | theirs)
