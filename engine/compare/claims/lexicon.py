"""The words by which models name what can be measured. Data, and the patterns made of it. Pure."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import msgspec

_COUNTED: Mapping[str, str] = {
    "n_key_value_heads": r"(?:key[-/ ]?(?:and |/ ?)?values?|kv|grouped)[- ]heads?\b",
    "n_attention_heads": r"(?:(?:self-)?attention |query |q )?heads\b",
    "n_layers": r"(?:(?:decoder|transformer|hidden|total|identical|stacked|main|such) ){0,2}"
    r"(?:layers|(?:decoder |transformer )?blocks)\b",
    "hidden_size": r"hidden (?:units|dimensions)\b|-?dimensional hidden\b",
    "vocab_size": r"(?:(?:tokens|entries|words) (?:in|of) (?:my|the|its) vocabulary"
    r"|vocabulary (?:entries|tokens|items))\b",
    "max_position_embeddings": r"(?:tokens? (?:of )?context|positions)\b",
    "n_parameters": r"(?:(?:trainable|model|total|learnable) ){0,2}"
    r"(?:parameters|weights|params)\b(?! (?:match|names))",
    "n_values": r"(?:values|elements)\b",
}
"""Quantity -> the nouns that stand behind its number: "24 layers"."""

_NAMED: Mapping[str, str] = {
    "n_key_value_heads": r"n(?:um)?_(?:key_value|kv)_heads"
    r"|number of (?:kv|key[-/ ]?value) heads|(?:kv|key[-/ ]?value) heads(?=\W{0,6}[:=|(])",
    "n_attention_heads": r"n(?:um)?_(?:attention_)?heads|number of (?:attention |query )?heads"
    r"|(?:(?:attention|query) )?heads(?=\W{0,6}[:=|(])",
    "n_layers": r"n(?:um)?_(?:hidden_)?layers|(?:number|count) of (?:\w+ )?layers|layer count"
    r"|layers(?=\W{0,6}[:=|])",
    "head_dim": r"head[_ ]dim(?:ension)?|head size"
    r"|heads? (?:of|has|have|with)(?: a)? (?:size|dimension)",
    "hidden_size": r"hidden[_ ](?:size|dim(?:ension)?(?:ality)?)|d_model|model dimension"
    r"|embedding (?:size|dimension)",
    "intermediate_size": r"intermediate[_ ](?:size|dimension)|feed-?forward (?:size|dimension)"
    r"|(?:mlp|ffn) (?:size|dimension|width)",
    "vocab_size": r"vocab(?:ulary)?[_ ]size|size of (?:my|the) vocabulary|vocabulary",
    "max_position_embeddings": r"max(?:imum)?[_ ]position[_ ]embeddings?"
    r"|context (?:window|length|size)|maximum (?:sequence|context) length"
    r"|(?:sequence|context) length",
    "n_parameters": r"n(?:um)?_param(?:eter)?s|(?:number|total|count) of (?:\w+ )?"
    r"(?:parameters|weights)|parameter count|total parameters|parameters(?=\W{0,6}[:=|])",
    "n_values": r"n_values",
    "n_names": r"n_names",
    "abs_mean": r"abs_mean|mean absolute value|absolute mean",
    "mean": r"means?(?: values?)?",
    "std": r"stds?|std\.? dev(?:iation)?s?|standard deviations?",
    "min": r"min(?:imum)?(?: value)?|smallest value",
    "max": r"max(?:imum)?(?: value)?|largest value",
    "l2_norm": r"(?:l2|frobenius)[_ -]?norms?|norms?",
    "zero_fraction": r"zero_fraction|sparsity|(?:fraction|share) of zeros",
    "cosine_similarity": r"cosine(?:[_ ]similarity)?|similarity",
    "l2_distance": r"(?:l2[_ ])?distance",
    "max_abs_difference": r"max_abs_difference",
    "max_entropy": r"max(?:imum)?[_ ]entropy",
    "entropy": r"entrop(?:y|ies)",
}
"""Quantity -> what stands before its number: "hidden size of 896". Earlier ones win."""

WHOLE_MODEL = frozenset(
    {
        "n_layers",
        "n_attention_heads",
        "n_key_value_heads",
        "head_dim",
        "hidden_size",
        "intermediate_size",
        "vocab_size",
        "max_position_embeddings",
    }
)
"""Quantities that a model has one of."""

COUNTS = frozenset({"n_layers", "n_attention_heads", "n_key_value_heads"})
"""Of them, those whose parts can be counted apart: "8 layers have ..." is no depth."""

OF_A_MODEL = WHOLE_MODEL | {"n_parameters"}
"""The same, and what its parts have too."""

_LEAST_PARAMETERS = 1000
"""A smaller number of "parameters" counts names of them, not weights."""

_KEYS = {"means": "mean", "stds": "std", "num_hidden_layers": "n_layers"}


class Mention(msgspec.Struct, frozen=True):
    """A quantity named in a text."""

    quantity: str
    start: int
    end: int


@lru_cache(maxsize=1)
def _named() -> re.Pattern[str]:
    groups = "|".join(f"(?P<{name}>{words})" for name, words in _NAMED.items())
    # In blanks, which code leaves, no branch need be tried.
    return re.compile(rf"(?<![\w.])(?=[a-z])(?:{groups})(?![\w])(?!\.\w)", re.IGNORECASE)


@lru_cache(maxsize=1)
def _counted() -> re.Pattern[str]:
    groups = "|".join(f"(?P<{name}>{words})" for name, words in _COUNTED.items())
    return re.compile(rf"[ \u00a0*`_-]{{0,4}}(?:{groups})", re.IGNORECASE)


def mentions(text: str) -> Iterator[Mention]:
    """Yield the quantities named in `text`, in their order."""
    for found in _named().finditer(text):
        assert found.lastgroup, "every branch is a group"
        yield Mention(found.lastgroup, found.start(), found.end())


def counted_after(text: str, place: int, value: float) -> Mention | None:
    """Return the quantity whose noun stands at `place`, behind the number `value`."""
    found = _counted().match(text, place)
    if not found or not found.lastgroup:
        return None
    is_of_names = found.lastgroup == "n_parameters" and abs(value) < _LEAST_PARAMETERS
    return None if is_of_names else Mention(found.lastgroup, found.start(), found.end())


def quantity_of_key(key: str) -> str:
    """Return the quantity that a key of an answer stands for: mostly the key itself."""
    return _KEYS.get(key, key)
