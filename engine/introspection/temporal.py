"""Capability `temporal`: activations over layers, texts and tokens. Docstrings are help text."""

from itertools import pairwise

import numpy as np

from engine.errors import CapabilityError
from engine.introspection.probe import Insides
from engine.introspection.safetensors import Floats
from engine.introspection.statistics import rounded
from engine.introspection.vectors import (
    cosine,
    distance,
    figures,
    largest,
    norms,
    relative_change,
)

_MOST_TEXTS = 10
_MOST_STEPS = 32
_N_UNITS = 10


class Temporal:
    """Your activations over layers, texts and the tokens that you write.

    A text is run as it stands, without a chat template, in a copy of your weights; it may have
    256 tokens.
    """

    def __init__(self, insides: Insides) -> None:
        """Answer about what `insides` shows."""
        self._insides = insides

    def compare_activations(
        self, text: str, other_text: str, layer_name: str | list[str]
    ) -> dict[str, object] | list[dict[str, object]]:
        """Compare what a layer puts out for two texts.

        Args:
            text: the first text, at most 256 tokens.
            other_text: the second text.
            layer_name: name of a layer, such as 'model.layers.0', or a list of at most 40 names.

        Returns:
            dict with name, mean_cosine (between the means over the tokens, -1 to 1), last_cosine
            (between the last tokens), l2_distance (of the means) and relative_change (this
            distance divided by the length of the first mean). A list of names gives a list of
            dicts.

        Example:
            print(temporal.compare_activations("A cat sat.", "A dog sat.", "model.layers.0"))
        """
        names = self._insides.named(layer_name)
        first = self._insides.outputs(text, names)
        second = self._insides.outputs(other_text, names)
        compared = [_compared(name, first[name], second[name]) for name in names]
        return compared[0] if isinstance(layer_name, str) else compared

    def track_layer_flow(self, text: str) -> list[dict[str, object]]:
        """Follow a text through your decoder layers.

        Args:
            text: any text of at most 256 tokens.

        Returns:
            list of dicts, one per decoder layer, with name, norm (mean L2 norm of the vectors of
            the tokens), relative_change (L2 distance from the layer before, divided by its length;
            None for the first) and cosine (similarity to the layer before; None for the first).

        Example:
            for row in temporal.track_layer_flow("Hello"):
                print(row)
        """
        found = self._insides.outputs(text, self._insides.decoder)
        flow = [found[name] for name in self._insides.decoder]
        changes = [
            (rounded(relative_change(before, after)), rounded(cosine(before, after)))
            for before, after in pairwise(flow)
        ]
        steps = [(None, None), *changes]
        return [
            {
                "name": name,
                "norm": rounded(float(norms(output).mean(dtype=np.float64))),
                "relative_change": change,
                "cosine": likeness,
            }
            for name, output, (change, likeness) in zip(
                self._insides.decoder, flow, steps, strict=True
            )
        ]

    def capture_generation_activations(
        self, text: str, layer_name: str | list[str], n_tokens: int = 8
    ) -> dict[str, object]:
        """Go on with a text, token by token, and show what happens inside.

        At each step the most probable token is taken, so that the same text goes on the same way.

        Args:
            text: the beginning, at most 256 tokens.
            layer_name: name of a layer, or a list of at most 40 names.
            n_tokens: how many tokens to write, 1 to 32; fewer come if you end the text before.

        Returns:
            dict with generated (text), tokens, probabilities (of each token), entropies (bits, of
            the distribution that each token came from) and norms (layer name -> L2 norm of its
            output at each step).

        Example:
            print(temporal.capture_generation_activations("Hello", "model.layers.0", n_tokens=3))
        """
        if not 1 <= n_tokens <= _MOST_STEPS:
            problem = f"n_tokens must be 1 to {_MOST_STEPS}, not {n_tokens}"
            raise CapabilityError("ValueError", problem)
        names = self._insides.named(layer_name)
        written, outputs = self._insides.generation(text, names, n_tokens)
        steps = written.steps
        return {
            "generated": written.text,
            "tokens": [step.token for step in steps],
            "probabilities": [rounded(step.probability) for step in steps],
            "entropies": [rounded(step.entropy_bits) for step in steps],
            "norms": {name: figures(norms(outputs[name])) for name in names},
        }

    def compute_activation_similarity(self, texts: list[str], layer_name: str) -> dict[str, object]:
        """Compare what a layer puts out for several texts, each with each.

        Args:
            texts: 2 to 10 texts of at most 256 tokens each.
            layer_name: name of a layer.

        Returns:
            dict with name, similarity (matrix as a list of rows: cosine between the means over
            the tokens of two texts, -1 to 1) and most_similar (the two places in texts).

        Example:
            print(temporal.compute_activation_similarity(["one", "two", "cat"], "model.layers.1"))
        """
        _check_texts("texts", texts, least=2)
        (name,) = self._insides.named(layer_name)
        means = [self._insides.outputs(text, [name])[name].mean(axis=0) for text in texts]
        matrix = np.array([[cosine(one, other) for other in means] for one in means], np.float32)
        pairs = np.where(np.triu(np.ones_like(matrix), 1) > 0, matrix, -np.inf)
        first, second = divmod(int(pairs.argmax()), len(texts))
        return {
            "name": name,
            "similarity": [figures(row) for row in matrix],
            "most_similar": [first, second],
        }

    def detect_activation_anomalies(
        self,
        text: str,
        reference_texts: list[str],
        layer_name: str | list[str] | None = None,
        threshold: float = 3.0,
    ) -> list[dict[str, object]]:
        """Find units that behave otherwise for a text than for reference texts.

        A unit's mean over the tokens of the text is compared with its mean over all tokens of the
        reference texts, in units of its standard deviation there (z score).

        Args:
            text: any text of at most 256 tokens.
            reference_texts: 1 to 10 texts; longer ones make a better reference.
            layer_name: name of a layer, or a list of at most 40; without it, all decoder layers.
            threshold: absolute z score from which a unit counts, more than 0.

        Returns:
            list of dicts with name, n_units, n_anomalous and units (index -> z score, the 10
            largest absolute ones that count).

        Example:
            usual = ["The cat sat on the mat.", "It rained all day."]
            print(temporal.detect_activation_anomalies("def f(x): return x", usual))
        """
        _check_texts("reference_texts", reference_texts, least=1)
        if not threshold > 0:
            raise CapabilityError("ValueError", f"threshold must be more than 0, not {threshold:g}")
        names = self._insides.named(layer_name)
        found = self._insides.outputs(text, names)
        known = [self._insides.outputs(each, names) for each in reference_texts]
        return [
            _anomalies(name, found[name], np.concatenate([one[name] for one in known]), threshold)
            for name in names
        ]

    def clear_cache(self) -> dict[str, object]:
        """Do nothing: what is kept of earlier answers is what a new run would give again.

        Returns:
            dict with n_cleared (always 0).

        Example:
            print(temporal.clear_cache())
        """
        return {"n_cleared": 0}


def _compared(name: str, first: Floats, second: Floats) -> dict[str, object]:
    means = first.mean(axis=0), second.mean(axis=0)
    return {
        "name": name,
        "mean_cosine": rounded(cosine(*means)),
        "last_cosine": rounded(cosine(first[-1], second[-1])),
        "l2_distance": rounded(distance(*means)),
        "relative_change": rounded(relative_change(*means)),
    }


def _anomalies(name: str, output: Floats, reference: Floats, threshold: float) -> dict[str, object]:
    spread = reference.std(axis=0, dtype=np.float64)
    gap = output.mean(axis=0, dtype=np.float64) - reference.mean(axis=0, dtype=np.float64)
    scores = np.divide(gap, spread, out=np.zeros_like(gap), where=spread > 0)
    n_anomalous = int((np.abs(scores) >= threshold).sum())
    units = largest(np.abs(scores), min(_N_UNITS, n_anomalous))
    return {
        "name": name,
        "n_units": len(scores),
        "n_anomalous": n_anomalous,
        "units": {str(unit): rounded(float(scores[unit])) for unit in units},
    }


def _check_texts(what: str, texts: list[str], *, least: int) -> None:
    if not least <= len(texts) <= _MOST_TEXTS:
        problem = f"{what} must be {least} to {_MOST_TEXTS} texts, not {len(texts)}"
        raise CapabilityError("ValueError", problem)
