"""Capability `weights`: the values of the served model. Docstrings are help text for models."""

import math
from typing import NamedTuple

import numpy as np

from engine.introspection.checkpoint import Checkpoint, Parameter
from engine.introspection.layers import layers_of
from engine.introspection.names import check_count, matching, pattern_of, unknown_name
from engine.introspection.statistics import Moments, difference, moments, rounded

_MAX_LISTED = 40
_SAMPLED_VALUES = 1 << 16


class _Likeness(NamedTuple):
    """How much one parameter is like another; NaN where a value is not finite.

    The ratio is NaN, too, where there is nothing to divide by.
    """

    name: str
    similarity: float
    std_ratio: float

    def told(self) -> dict[str, object]:
        return {
            "name": self.name,
            "similarity": rounded(self.similarity),
            "std_ratio": rounded(self.std_ratio),
        }


class Weights:
    """Your parameters: their names, shapes and statistics.

    Parameters have names such as 'model.layers.0.self_attn.q_proj.weight'. list_parameters()
    shows them.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Answer about `checkpoint`."""
        self._checkpoint = checkpoint
        self._layers = layers_of(checkpoint.parameters)
        self._known: dict[str, Moments] = {}

    def list_parameters(self, filter_pattern: str | None = None) -> dict[str, object]:
        """List your parameters: grouped, or by name if a filter is given.

        Args:
            filter_pattern: text that the names must contain, case aside; '*' stands for any text.

        Returns:
            dict. Without a filter: n_names, n_parameters (number of weights) and groups (name ->
            count and shape; '*' in a name stands for the index of a decoder layer). With a
            filter: n_names (matches) and parameters (name -> shape, the first 40).

        Example:
            print(weights.list_parameters("layers.0.mlp"))
        """
        known = self._checkpoint.parameters
        if filter_pattern is not None:
            names = matching(known, filter_pattern)
            shapes = {name: list(known[name].shape) for name in names[:_MAX_LISTED]}
            return {"n_names": len(names), "parameters": shapes}
        return {
            "n_names": len(known),
            "n_parameters": self._checkpoint.n_values,
            "groups": self._groups(),
        }

    def get_layer_parameters(self, layer_name: str | list[str]) -> dict[str, object]:
        """Return the parameters of a layer with their shapes.

        Args:
            layer_name: name of a layer, such as 'model.layers.0.mlp', or a list of at most 40.

        Returns:
            dict of parameter name -> shape.

        Example:
            print(weights.get_layer_parameters("model.layers.0.mlp"))
        """
        layers = [layer_name] if isinstance(layer_name, str) else layer_name
        check_count(layers, most=_MAX_LISTED)
        names = [name for layer in layers for name in self._parameters_of(layer)]
        return {name: list(self._checkpoint.parameters[name].shape) for name in names}

    def get_weight_statistics(
        self, parameter_name: str | list[str]
    ) -> dict[str, object] | list[dict[str, object]]:
        """Return statistics over all values of a parameter.

        Args:
            parameter_name: name of a parameter, or a list of at most 40 names.

        Returns:
            dict with name, shape, dtype, n_values, mean, std, min, max, abs_mean (mean of the
            absolute values), l2_norm and zero_fraction (0 to 1). Two more keys if they apply:
            is_dequantised (the weights are quantised, and the numbers are those of the values
            computed from them) and n_not_finite (values left out). A list of names gives a list
            of dicts.

        Example:
            print(weights.get_weight_statistics("model.layers.0.mlp.down_proj.weight"))
        """
        if isinstance(parameter_name, str):
            return self._statistics(self._parameter(parameter_name))
        check_count(parameter_name, most=_MAX_LISTED)
        found = [self._parameter(name) for name in parameter_name]
        return [self._statistics(each) for each in found]

    def compare_parameters(
        self, parameter_name: str, other_parameter_name: str
    ) -> dict[str, object]:
        """Compare two parameters.

        Args:
            parameter_name: name of the first parameter.
            other_parameter_name: name of the second parameter.

        Returns:
            dict with same_shape, means and stds (two numbers each, in the order asked) and, if
            the shapes agree, cosine_similarity (-1 to 1), l2_distance and max_abs_difference
            (None each, if not all values are finite).

        Example:
            first = "model.layers.0.mlp.down_proj.weight"
            print(weights.compare_parameters(first, "model.layers.1.mlp.down_proj.weight"))
        """
        first, second = self._parameter(parameter_name), self._parameter(other_parameter_name)
        both = [self._moments(first), self._moments(second)]
        compared: dict[str, object] = {
            "same_shape": first.shape == second.shape,
            "means": [rounded(each.mean) for each in both],
            "stds": [rounded(each.std) for each in both],
        }
        return compared | self._difference(first, second)

    def get_shared_weights(self) -> list[list[str]]:
        """Return the parameters that use the same values as another one.

        Returns:
            list of groups; a group is a list of parameter names that share their values. Empty
            if nothing is shared.

        Example:
            print(weights.get_shared_weights())
        """
        groups: dict[str, list[str]] = {}
        for each in self._checkpoint.parameters.values():
            if each.shared_with:
                groups.setdefault(each.shared_with, [each.shared_with]).append(each.name)
        return list(groups.values())

    def find_similar_weights(self, parameter_name: str, top_k: int = 5) -> list[dict[str, object]]:
        """Find the parameters whose values are distributed most like those of one parameter.

        Only parameters of the same shape are compared, by samples of evenly spaced rows.

        Args:
            parameter_name: name of the parameter to compare with.
            top_k: how many to return, 1 to 40.

        Returns:
            list of dicts with name, similarity (1: the same distribution, 0: nothing in common)
            and std_ratio (std of the other one divided by the std of this one; None if all
            values of this one are the same). Most similar first; last those whose similarity is
            None, because not all values are finite.

        Example:
            name = "model.layers.0.mlp.down_proj.weight"
            print(weights.find_similar_weights(name, top_k=3))
        """
        wanted = self._parameter(parameter_name)
        values = self._sorted_sample(wanted)
        found = [
            self._likeness(values, other)
            for other in self._checkpoint.parameters.values()
            if other.shape == wanted.shape and other.owner != wanted.owner
        ]
        found.sort(key=lambda each: (math.isnan(each.similarity), -each.similarity))
        return [each.told() for each in found[: max(1, min(top_k, _MAX_LISTED))]]

    def _parameter(self, name: str) -> Parameter:
        known = self._checkpoint.parameters
        if name in known:
            return known[name]
        instead = None
        if name in self._layers:
            instead = (
                f"that is a layer, with parameters such as {self._layers[name].parameters[0]!r}"
            )
        see = "weights.list_parameters()"
        raise unknown_name("parameter", name, known=list(known), see=see, instead=instead)

    def _parameters_of(self, layer_name: str) -> tuple[str, ...]:
        if layer_name in self._layers:
            return self._layers[layer_name].parameters
        if layer_name in self._checkpoint.parameters:
            return (layer_name,)
        see = "weights.list_parameters()"
        raise unknown_name("layer", layer_name, known=list(self._layers), see=see)

    def _groups(self) -> dict[str, str]:
        counts: dict[str, dict[tuple[int, ...], int]] = {}
        for each in self._checkpoint.parameters.values():
            shapes = counts.setdefault(pattern_of(each.name), {})
            shapes[each.shape] = shapes.get(each.shape, 0) + 1
        return {
            name: ", ".join(f"{count} x {list(shape)}" for shape, count in shapes.items())
            for name, shapes in counts.items()
        }

    def _moments(self, parameter: Parameter) -> Moments:
        if parameter.owner not in self._known:
            self._known[parameter.owner] = moments(self._checkpoint.blocks(parameter.owner))
        return self._known[parameter.owner]

    def _statistics(self, parameter: Parameter) -> dict[str, object]:
        found = self._moments(parameter)
        n_finite = max(1, found.n_values)
        statistics: dict[str, object] = {
            "name": parameter.name,
            "shape": list(parameter.shape),
            "dtype": parameter.dtype,
            "n_values": parameter.n_values,
            "mean": rounded(found.mean),
            "std": rounded(found.std),
            "min": rounded(found.smallest),
            "max": rounded(found.largest),
            "abs_mean": rounded(found.absolute / n_finite),
            "l2_norm": rounded(found.l2_norm),
            "zero_fraction": rounded(found.n_zeros / n_finite),
        }
        if parameter.is_dequantised:
            statistics["is_dequantised"] = True
        if found.n_not_finite:
            statistics["n_not_finite"] = found.n_not_finite
        return statistics

    def _difference(self, first: Parameter, second: Parameter) -> dict[str, object]:
        if first.shape != second.shape:
            return {}
        blocks = self._checkpoint.blocks
        found = difference(zip(blocks(first.name), blocks(second.name), strict=True))
        return {
            "cosine_similarity": rounded(found.cosine),
            "l2_distance": rounded(found.l2_distance),
            "max_abs_difference": rounded(found.largest),
        }

    def _sorted_sample(self, parameter: Parameter) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        values = self._checkpoint.sample(parameter.name, most=_SAMPLED_VALUES)
        return np.sort(values.astype(np.float64))

    def _likeness(
        self, values: np.ndarray[tuple[int], np.dtype[np.float64]], other: Parameter
    ) -> _Likeness:
        theirs = self._sorted_sample(other)
        with np.errstate(invalid="ignore"):  # one infinity less another
            gap = float(np.abs(values - theirs).mean())
            spread, other_spread = float(values.std()), float(theirs.std())
        size = float((np.abs(values) + np.abs(theirs)).mean())
        return _Likeness(
            name=other.name,
            similarity=1 - gap / size if size else 1.0,
            std_ratio=other_spread / spread if spread else math.nan,
        )
