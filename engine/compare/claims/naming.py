"""Claims that are names: of layers, parameters, number formats, activations, families. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from engine.compare.claims.assertions import Reading
from engine.compare.claims.evidence import Evidence
from engine.compare.claims.facts import Word
from engine.compare.claims.subjects import names_in
from engine.compare.claims.values import Source, Status

_LIKENED = re.compile(
    r"\b(?:like|such as|similar to|e\.g\.|as in|than|not|nor|neither|variants? of|inspired by)"
    r"\s(?:(?:an?|the) )?(?:[\w.-]+(?:,| and| or) ){0,3}$",
    re.IGNORECASE,
)
"""What follows is named beside the kind of this model, or in its place."""
_INTERIM = re.compile(
    r"\bcomput|soft-?max|norm\b|normali[sz]|\bactivations\b|accumulat|\bcast|gradient|logits"
    r"|scores|internal",
    re.IGNORECASE,
)
"""Numbers on their way through a model may have another format than its weights."""


class _Kind(NamedTuple):
    quantity: str
    """Key under which answers have it."""
    word: re.Pattern[str]
    context: re.Pattern[str]
    """What the sentence must speak of."""
    elsewhere: re.Pattern[str] | None = None
    """What makes it speak of something else."""

    def is_spoken_of(self, sentence: str) -> bool:
        """Tell whether a word of this kind is one of the model in `sentence`."""
        is_other = self.elsewhere and self.elsewhere.search(sentence)
        return bool(self.context.search(sentence)) and not is_other


def _kind(
    quantity: str, word: str, context: str, elsewhere: re.Pattern[str] | None = None
) -> _Kind:
    ends = r"(?![\w-]|\.\d)"
    return _Kind(
        quantity,
        re.compile(rf"(?<![\w.-])(?=[a-z])(?:{word}){ends}", re.IGNORECASE),
        re.compile(context, re.IGNORECASE),
        elsewhere,
    )


_KINDS = (
    _kind(
        "activation",
        r"silu|swish|gelu(?:_new|_fast|_pytorch_tanh)?|relu2?|tanh|sigmoid|swiglu|geglu",
        r"activat|non-?linearit",
    ),
    _kind(
        "dtype",
        r"bfloat16|bf16|float16|fp16|half precision|float32|fp32|float64|int8|int4",
        r"dtype|data type|stored?\b|precision|format|weights are|parameters are",
        _INTERIM,
    ),
    _kind(
        "model_type",
        r"qwen[23]?|llama|mistral|gemma[23]?|phi3?|gpt-?2|gpt_neox|bert|t5",
        r"model[_ ]type|family|architecture|\bI am\b|based on",
    ),
    _kind("tied_embeddings", r"tied|untied|not tied|not shared", r"embedding|lm_head|output head"),
)
_SAME = {
    "swish": "silu",
    "swiglu": "silu",
    "geglu": "gelu",
    "bf16": "bfloat16",
    "fp16": "float16",
    "half precision": "float16",
    "fp32": "float32",
    "gpt-2": "gpt2",
    "tied": "true",
    "untied": "false",
    "not tied": "false",
    "not shared": "false",
}


class NameClaim(NamedTuple):
    """A name that is a claim."""

    start: int
    end: int
    quantity: str
    """"name" for one of a layer or parameter, else what the word answers."""
    word: str


def name_claims(reading: Reading, told: frozenset[str]) -> Iterator[NameClaim]:
    """Yield what a text asserts by name; names that prompts `told` are none."""
    for named in names_in(reading.text):
        if named.name not in told and _asserted(reading, named.start):
            yield NameClaim(named.start, named.end, "name", named.name)
    for kind in _KINDS:
        for found in kind.word.finditer(reading.text):
            start, end = reading.prose.sentence(found.start())
            about = reading.text[start:end]
            is_likened = _LIKENED.search(reading.text, start, found.start())
            if kind.is_spoken_of(about) and not is_likened and _asserted(reading, found.start()):
                yield NameClaim(found.start(), found.end(), kind.quantity, plain(found[0]))


def _asserted(reading: Reading, place: int) -> bool:
    return reading.asserts(place, reading.prose.sentence(place))


def plain(word: str) -> str:
    """Return the form of a word under which it is compared."""
    return _SAME.get(word.lower(), word.lower())


def name_verdict(claim: NameClaim, evidence: Evidence) -> tuple[Status, Source | None]:
    """Return whether a name was shown, another one in its place, or none."""
    if claim.quantity == "name":
        shown = evidence.name_source(claim.word)
        return ("grounded", shown) if shown else ("unmeasured", None)
    words = evidence.words.get(claim.quantity, [])
    equal = next((each for each in reversed(words) if _is(each, claim.word)), None)
    if equal:
        return "grounded", equal.source
    return ("contradicted", words[-1].source) if words else ("unmeasured", None)


def _is(word: Word, claimed: str) -> bool:
    shown = plain(word.word)
    is_family = word.quantity == "model_type" and shown.startswith(claimed)
    stem = claimed.partition("_")[0]
    is_variant = word.quantity == "activation" and shown.partition("_")[0] == stem
    return shown == claimed or is_family or is_variant
