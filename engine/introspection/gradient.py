"""Capability `gradient`: what the model's next word depends on. Docstrings are help text."""

import numpy as np

from engine.introspection.probe import Insides, Target
from engine.introspection.safetensors import Floats
from engine.introspection.statistics import rounded
from engine.introspection.vectors import MAX_SHOWN, cosine, largest, norms

_INPUT = ""


class Gradient:
    """Your gradients: which tokens and layers your next token depends on.

    A text is run as it stands, without a chat template, in a copy of your weights; it may have
    256 tokens. All gradients are of one number: the logarithm of the probability that you give to
    the token which you find most probable after the text.
    """

    def __init__(self, insides: Insides) -> None:
        """Answer about what `insides` shows."""
        self._insides = insides

    def compute_input_sensitivity(self, text: str) -> dict[str, object]:
        """Tell how much your next token depends on each token of a text.

        Args:
            text: any text of at most 256 tokens.

        Returns:
            dict with predicted (the most probable next token), probability, n_tokens and tokens:
            list of dicts with index, token, sensitivity (L2 norm of the gradient by the token's
            embedding) and share (of the sum over all tokens, 0 to 1), for the first 40 tokens.

        Example:
            print(gradient.compute_input_sensitivity("The cat sat on the"))
        """
        target, sensitivity, _ = self._sensitivity(text)
        rows = _rows(target, sensitivity, range(min(len(sensitivity), MAX_SHOWN)))
        return {**_predicted(target), "n_tokens": len(sensitivity), "tokens": rows}

    def compare_inputs_gradient(self, text: str, other_text: str) -> dict[str, object]:
        """Compare what your next token depends on after two texts.

        Args:
            text: the first text, at most 256 tokens.
            other_text: the second text.

        Returns:
            dict with predicted and probability (lists of two, in the order asked), sensitivity
            (two numbers: mean over the tokens), largest (two tokens: the most influential ones)
            and last_cosine (cosine between the gradients by the last tokens' embeddings, -1 to 1).

        Example:
            print(gradient.compare_inputs_gradient("The cat sat on the", "The dog lay on the"))
        """
        both = [self._sensitivity(each) for each in (text, other_text)]
        gradients = [gradient for _, _, gradient in both]
        return {
            "predicted": [target.token for target, _, _ in both],
            "probability": [rounded(target.probability) for target, _, _ in both],
            "sensitivity": [rounded(float(each.mean(dtype=np.float64))) for _, each, _ in both],
            "largest": [target.tokens[largest(each, 1)[0]] for target, each, _ in both],
            "last_cosine": rounded(cosine(gradients[0][-1], gradients[1][-1])),
        }

    def find_influential_tokens(self, text: str, top_k: int = 5) -> list[dict[str, object]]:
        """Find the tokens of a text that your next token depends on most.

        Args:
            text: any text of at most 256 tokens.
            top_k: how many to return, 1 to 40.

        Returns:
            list of dicts with index, token, sensitivity and share as in
            compute_input_sensitivity. Most influential first.

        Example:
            print(gradient.find_influential_tokens("The cat sat on the", top_k=2))
        """
        target, sensitivity, _ = self._sensitivity(text)
        count = max(1, min(top_k, MAX_SHOWN))
        return _rows(target, sensitivity, largest(sensitivity, count))

    def compute_layer_gradients(
        self, text: str, layer_name: str | list[str] | None = None
    ) -> list[dict[str, object]]:
        """Tell how much your next token depends on what each layer puts out.

        Args:
            text: any text of at most 256 tokens.
            layer_name: name of a layer, or a list of at most 40; without it, all decoder layers.

        Returns:
            list of dicts with name, shape (tokens, size), l2_norm (of the gradient by all values
            that the layer puts out) and largest_token (index of the token with the largest part).

        Example:
            print(gradient.compute_layer_gradients("The cat sat on the"))
        """
        names = self._insides.named(layer_name)
        _, found = self._insides.gradients(text, names)
        return [
            {
                "name": name,
                "shape": list(found[name].shape),
                "l2_norm": rounded(float(np.linalg.norm(found[name].astype(np.float64)))),
                "largest_token": largest(norms(found[name]), 1)[0],
            }
            for name in names
        ]

    def _sensitivity(self, text: str) -> tuple[Target, Floats, Floats]:
        target, found = self._insides.gradients(text, ())
        return target, norms(found[_INPUT]), found[_INPUT]


def _predicted(target: Target) -> dict[str, object]:
    return {"predicted": target.token, "probability": rounded(target.probability)}


def _rows(
    target: Target, sensitivity: Floats, places: range | list[int]
) -> list[dict[str, object]]:
    total = float(sensitivity.sum(dtype=np.float64))
    return [
        {
            "index": place,
            "token": target.tokens[place],
            "sensitivity": rounded(float(sensitivity[place])),
            "share": rounded(float(sensitivity[place]) / total if total else 0.0),
        }
        for place in places
    ]
