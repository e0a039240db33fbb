"""Capability `activations`: what the layers of the model put out. Docstrings are help text."""

import numpy as np

from engine.introspection.names import matching, pattern_of
from engine.introspection.probe import Insides
from engine.introspection.safetensors import Floats
from engine.introspection.statistics import moments, rounded
from engine.introspection.vectors import MAX_SHOWN, figures, largest, norms

_N_UNITS = 5


class Activations:
    """Your activations: what your layers put out for a text.

    The text is run as it stands, without a chat template, in a copy of your weights; it may have
    256 tokens. A layer puts out one vector per token: shape (tokens, size), several heads one
    after another. The few that put out none, such as convolutions, are refused.
    """

    def __init__(self, insides: Insides) -> None:
        """Answer about what `insides` shows."""
        self._insides = insides

    def capture_activations(
        self, text: str, layer_name: str | list[str], *, as_arrays: bool = False
    ) -> object:
        """Run a text through yourself and show what layers put out.

        Args:
            text: any text of at most 256 tokens.
            layer_name: name of a layer, such as 'model.layers.0', or a list of at most 40 names.
            as_arrays: True for the values themselves.

        Returns:
            dict with name, shape (tokens, size), mean, std, min, max, token_norms (L2 norm of the
            vector of each token, the first 40) and last_norm (that of the last token). A list of
            names gives a list of dicts. With as_arrays: dict of layer name -> numpy array,
            float32, of this shape.

        Example:
            print(activations.capture_activations("Hello", "model.layers.0"))
        """
        names = self._insides.named(layer_name)
        found = self._insides.outputs(text, names)
        if as_arrays:
            return dict(found)
        shown = [_shown(name, found[name]) for name in names]
        return shown[0] if isinstance(layer_name, str) else shown

    def capture_attention_weights(
        self, text: str, layer_name: str | list[str], *, as_arrays: bool = False
    ) -> object:
        """Run a text through yourself and show how much each token attends to each other one.

        Args:
            text: any text of at most 256 tokens.
            layer_name: name of a decoder layer such as 'model.layers.0', or a list of names.
            as_arrays: True for the values themselves.

        Returns:
            dict with name, shape (heads, tokens, tokens) and to_last (from the last token to each
            of the first 40 tokens, mean over the heads; all of them sum to 1). A list of names
            gives a list of dicts. With as_arrays: dict of layer name -> numpy array, float32, of
            this shape; each row of a head sums to 1.

        Example:
            print(activations.capture_attention_weights("Hello you", "model.layers.0"))
        """
        names = self._insides.attending(layer_name)
        found = self._insides.attention(text, names)
        if as_arrays:
            return found
        shown: list[dict[str, object]] = [
            {
                "name": name,
                "shape": list(maps.shape),
                "to_last": figures(maps[:, -1].mean(axis=0)),
            }
            for name, maps in found.items()
        ]
        return shown[0] if isinstance(layer_name, str) else shown

    def get_activation_statistics(
        self, text: str, layer_name: str | list[str]
    ) -> dict[str, object] | list[dict[str, object]]:
        """Return statistics over all values that a layer puts out for a text.

        Args:
            text: any text of at most 256 tokens.
            layer_name: name of a layer, or a list of at most 40 names.

        Returns:
            dict with name, shape (tokens, size), n_values, mean, std, min, max, abs_mean (mean of
            the absolute values), l2_norm, zero_fraction (0 to 1) and largest_units (index of a
            unit -> its mean over the tokens, for the 5 units with the largest absolute mean). A
            list of names gives a list of dicts.

        Example:
            print(activations.get_activation_statistics("Hello", "model.layers.0.mlp"))
        """
        names = self._insides.named(layer_name)
        found = self._insides.outputs(text, names)
        all_of_them = [_statistics(name, found[name]) for name in names]
        return all_of_them[0] if isinstance(layer_name, str) else all_of_them

    def get_input_shape(self, text: str) -> dict[str, object]:
        """Show a text as you read it: its tokens.

        Args:
            text: any text of at most 256 tokens.

        Returns:
            dict with n_tokens, tokens (texts of the first 40) and token_ids (the same ones as
            numbers).

        Example:
            print(activations.get_input_shape("Hello, how are you?"))
        """
        found = self._insides.tokens(text)
        return {
            "n_tokens": len(found.ids),
            "tokens": found.texts[:MAX_SHOWN],
            "token_ids": found.ids[:MAX_SHOWN],
        }

    def list_layers(self, filter_pattern: str | None = None) -> dict[str, object]:
        """List the layers whose output can be captured.

        Args:
            filter_pattern: text that the names must contain, case aside; '*' stands for any text.

        Returns:
            dict. Without a filter: n_names and groups (name -> kind; '*' in a name stands for the
            index of a decoder layer). With a filter: n_names (matches) and layers (the first 40
            names).

        Example:
            print(activations.list_layers("layers.0."))
        """
        layers = self._insides.layers
        if filter_pattern is None:
            groups = {pattern_of(name): each.kind for name, each in layers.items()}
            return {"n_names": len(layers), "groups": groups}
        names = matching(layers, filter_pattern)
        return {"n_names": len(names), "layers": names[:MAX_SHOWN]}

    def clear_cache(self) -> dict[str, object]:
        """Do nothing: what is kept of earlier answers is what a new run would give again.

        Returns:
            dict with n_cleared (always 0).

        Example:
            print(activations.clear_cache())
        """
        return {"n_cleared": 0}


def _shown(name: str, output: Floats) -> dict[str, object]:
    found, lengths = moments([output.reshape(-1)]), norms(output)
    return {
        "name": name,
        "shape": list(output.shape),
        "mean": rounded(found.mean),
        "std": rounded(found.std),
        "min": rounded(found.smallest),
        "max": rounded(found.largest),
        "token_norms": figures(lengths),
        "last_norm": rounded(float(lengths[-1])),
    }


def _statistics(name: str, output: Floats) -> dict[str, object]:
    found, means = moments([output.reshape(-1)]), output.mean(axis=0, dtype=np.float64)
    units = largest(np.abs(means), _N_UNITS)
    return {
        "name": name,
        "shape": list(output.shape),
        "n_values": output.size,
        "mean": rounded(found.mean),
        "std": rounded(found.std),
        "min": rounded(found.smallest),
        "max": rounded(found.largest),
        "abs_mean": rounded(found.absolute / max(1, found.n_values)),
        "l2_norm": rounded(found.l2_norm),
        "zero_fraction": rounded(found.n_zeros / max(1, found.n_values)),
        "largest_units": {str(unit): rounded(float(means[unit])) for unit in units},
    }
