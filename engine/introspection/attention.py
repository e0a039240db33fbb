"""Capability `attention`: where the heads of the model look. Docstrings are help text."""

from collections.abc import Callable, Mapping

import numpy as np

from engine.errors import CapabilityError
from engine.introspection.probe import Insides
from engine.introspection.safetensors import Floats
from engine.introspection.statistics import rounded
from engine.introspection.vectors import entropy_bits, figures, largest

_N_ATTENDED = 10


class Attention:
    """Your attention: which tokens each head looks at.

    A text is run as it stands, without a chat template, in a copy of your weights; it may have
    256 tokens. A head gives each token shares of itself and the tokens before; they sum to 1.
    """

    def __init__(self, insides: Insides) -> None:
        """Answer about what `insides` shows."""
        self._insides = insides

    def analyze_attention_patterns(
        self, text: str, layer_name: str | list[str]
    ) -> dict[str, object] | list[dict[str, object]]:
        """Describe where each head of a layer looks for a text.

        Args:
            text: any text of at most 256 tokens.
            layer_name: name of a decoder layer such as 'model.layers.0', or a list of names.

        Returns:
            dict with name, n_tokens and heads: list of dicts with head (from 0), entropy (bits,
            mean over the tokens), distance (mean number of tokens looked back), and the mean
            shares that go to_first (the first token), to_previous (the token before) and to_self.
            A list of names gives a list of dicts.

        Example:
            print(attention.analyze_attention_patterns("A cat sat down.", "model.layers.0"))
        """
        found = self._maps(text, layer_name)
        described = [_described(name, maps) for name, maps in found.items()]
        return described[0] if isinstance(layer_name, str) else described

    def compute_attention_entropy(
        self, text: str, layer_name: str | list[str] | None = None
    ) -> list[dict[str, object]]:
        """Tell how widely the heads spread their attention.

        Args:
            text: any text of at most 256 tokens.
            layer_name: name of a decoder layer, or a list; without it, all with attention.

        Returns:
            list of dicts with name, entropy (bits, mean over heads and tokens; 0 if each token
            looks at one token alone), max_entropy (bits; what evenly spread attention would have)
            and by_head (list, mean over the tokens).

        Example:
            print(attention.compute_attention_entropy("A cat sat down."))
        """
        found = self._maps(text, layer_name)
        return [_entropies(name, maps) for name, maps in found.items()]

    def find_head_specialization(
        self, text: str, layer_name: str | list[str] | None = None, top_k: int = 3
    ) -> dict[str, list[dict[str, object]]]:
        """Find the heads that do one thing most.

        Args:
            text: any text of at least 2 and at most 256 tokens.
            layer_name: name of a decoder layer, or a list; without it, all with attention.
            top_k: how many heads to show of each kind, 1 to 10.

        Returns:
            dict of kind -> list of dicts with name (of the layer), head (from 0) and share (mean
            share, 0 to 1). Kinds: to_first, to_previous, to_self and, for evenly spread attention,
            to_all (entropy divided by the largest possible one). Largest share first.

        Example:
            print(attention.find_head_specialization("A cat sat down.", top_k=1))
        """
        found = self._maps(text, layer_name)
        count = max(1, min(top_k, 10))
        return {kind: _strongest(found, measure, count) for kind, measure in _KINDS.items()}

    def get_token_attention_summary(
        self, text: str, token_index: int = -1, layer_name: str | list[str] | None = None
    ) -> dict[str, object]:
        """Tell which tokens one token looks at, and how much it is looked at.

        Args:
            text: any text of at most 256 tokens.
            token_index: place of the token, from 0; -1 is the last one.
            layer_name: name of a decoder layer, or a list; without it, all with attention.

        Returns:
            dict with index, token, attends_to (list of dicts with index, token and share, at most
            10, largest first; mean over heads and layers) and received (mean share that it gets
            from the tokens after it, None for the last one).

        Example:
            print(attention.get_token_attention_summary("A cat sat down."))
        """
        found = self._maps(text, layer_name)
        mean = np.mean([maps.mean(axis=0) for maps in found.values()], axis=0)
        tokens = self._insides.tokens(text).texts
        place = _place(token_index, len(tokens))
        return {
            "index": place,
            "token": tokens[place],
            "attends_to": [
                {"index": each, "token": tokens[each], "share": rounded(float(mean[place, each]))}
                for each in largest(mean[place, : place + 1], _N_ATTENDED)
            ],
            "received": _received(mean, place),
        }

    def clear_cache(self) -> dict[str, object]:
        """Do nothing: what is kept of earlier answers is what a new run would give again.

        Returns:
            dict with n_cleared (always 0).

        Example:
            print(attention.clear_cache())
        """
        return {"n_cleared": 0}

    def _maps(self, text: str, layer_name: str | list[str] | None) -> dict[str, Floats]:
        return self._insides.attention(text, self._insides.attending(layer_name))


def _described(name: str, maps: Floats) -> dict[str, object]:
    rows = zip(
        _entropy(maps), _distance(maps), _to_first(maps), _to_previous(maps), _to_self(maps),
        strict=True,
    )  # fmt: skip
    heads: list[dict[str, object]] = [
        {
            "head": head,
            "entropy": rounded(float(entropy)),
            "distance": rounded(float(distance)),
            "to_first": rounded(float(first)),
            "to_previous": rounded(float(previous)),
            "to_self": rounded(float(own)),
        }
        for head, (entropy, distance, first, previous, own) in enumerate(rows)
    ]
    return {"name": name, "n_tokens": maps.shape[-1], "heads": heads}


def _entropies(name: str, maps: Floats) -> dict[str, object]:
    by_head = _entropy(maps)
    return {
        "name": name,
        "entropy": rounded(float(by_head.mean())),
        "max_entropy": rounded(_most_bits(maps.shape[-1])),
        "by_head": figures(by_head),
    }


def _entropy(maps: Floats) -> Floats:
    return entropy_bits(maps).mean(axis=-1)


def _distance(maps: Floats) -> Floats:
    places = np.arange(maps.shape[-1], dtype=np.int64)
    back = np.maximum(places[:, None] - places[None, :], 0)
    return (maps * back).sum(axis=-1, dtype=np.float64).mean(axis=-1)


def _to_first(maps: Floats) -> Floats:
    return maps[:, :, 0].mean(axis=-1)


def _to_previous(maps: Floats) -> Floats:
    return np.diagonal(maps, -1, 1, 2).sum(axis=-1) / max(1, maps.shape[-1] - 1)


def _to_self(maps: Floats) -> Floats:
    return np.diagonal(maps, 0, 1, 2).mean(axis=-1)


def _to_all(maps: Floats) -> Floats:
    most = _most_bits(maps.shape[-1])
    return _entropy(maps) / most if most else np.zeros(len(maps), np.float32)


def _most_bits(n_tokens: int) -> float:
    """Return the mean entropy of tokens that look evenly at themselves and all before."""
    return float(np.log2(np.arange(1, n_tokens + 1)).mean())


_KINDS: Mapping[str, Callable[[Floats], Floats]] = {
    "to_first": _to_first,
    "to_previous": _to_previous,
    "to_self": _to_self,
    "to_all": _to_all,
}


def _strongest(
    found: Mapping[str, Floats], measure: Callable[[Floats], Floats], count: int
) -> list[dict[str, object]]:
    heads = [
        (name, head, float(share))
        for name, maps in found.items()
        for head, share in enumerate(measure(maps))
    ]
    heads.sort(key=lambda each: -each[2])
    return [
        {"name": name, "head": head, "share": rounded(share)} for name, head, share in heads[:count]
    ]


def _place(index: int, n_tokens: int) -> int:
    if not -n_tokens <= index < n_tokens:
        problem = f"token_index {index} is out of range: the text has {n_tokens} tokens"
        raise CapabilityError("IndexError", problem)
    return index % n_tokens


def _received(mean: Floats, place: int) -> float | None:
    after = mean[place + 1 :, place]
    return rounded(float(after.mean())) if after.size else None
