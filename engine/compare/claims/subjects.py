"""Of what something is said: names of layers and parameters, an index, a part. Pure."""

import re
from collections.abc import Iterator

import msgspec

_DOTTED = re.compile(r"(?<![\w./])(?:[A-Za-z_]\w{0,40})(?:\.(?:\w{1,40}|\*)){1,12}(?![\w(])")
_STEMS = frozenset({"model", "transformer", "lm_head", "layers", "h", "gpt_neox"})
_INSIDE = frozenset(
    "weight bias embed_tokens norm layers h wte wpe ln_f self_attn attn attention mlp".split()
)
_PARTS: dict[str, str] = {
    "embedding": r"embed_tokens|wte|(?:token |input )?embeddings?",
    "attention": r"self_attn|attn|(?:self-)?attention(?! heads?)",
    "mlp": r"mlp|feed-?forward|ffn",
    "norm": r"\w*layernorm|rms_?norm",
    "head": r"lm_head|output head",
    "q_proj": r"q_proj|(?:query|q) proj(?:ection)?",
    "k_proj": r"k_proj|(?:key|k) proj(?:ection)?",
    "v_proj": r"v_proj|(?:value|v) proj(?:ection)?",
    "o_proj": r"o_proj|output proj(?:ection)?",
    "up_proj": r"up_proj|up[- ]proj(?:ection)?",
    "gate_proj": r"gate_proj|gate proj(?:ection)?",
    "down_proj": r"down_proj|down[- ]proj(?:ection)?",
}
_PART = re.compile(
    r"(?<![A-Za-z])(?:" + "|".join(f"(?P<{name}>{words})" for name, words in _PARTS.items()) + r")(?![A-Za-z])",
    re.IGNORECASE,
)
_LAYER = re.compile(r"(?<![\w])(?:layers?|blocks?)[ _.#]?(?P<index>\d{1,4})(?![\w]|\.\d)", re.IGNORECASE)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a figure belongs to; nothing at all: the whole model, or it is not said."""

    name: str | None = None
    """Full name of a layer or parameter."""
    layer: int | None = None
    head: int | None = None
    parts: frozenset[str] = frozenset()

    @property
    def is_said(self) -> bool:
        """True if anything narrows it."""
        return bool(self.name or self.layer is not None or self.head is not None or self.parts)

    def is_other_than(self, fact: "Subject") -> bool:
        """Tell whether a claim about this can be no claim about what `fact` is about."""
        if self.head != fact.head:
            return True
        if self.name and fact.name:
            return self.name != fact.name
        if self.layer is not None and fact.layer is not None and self.layer != fact.layer:
            return True
        return bool(self.parts and fact.parts and not self.parts & fact.parts)

    def is_within(self, fact: "Subject") -> bool:
        """Tell whether all that narrows this is said of `fact` too."""
        if self.name:
            return self.name == fact.name
        return (self.layer is None or self.layer == fact.layer) and self.parts <= fact.parts


class Named(msgspec.Struct, frozen=True):
    """A name of a layer or parameter in a text."""

    name: str
    start: int
    end: int


def names_in(text: str) -> Iterator[Named]:
    """Yield the dotted names of layers and parameters; names of functions and files are none."""
    for found in _DOTTED.finditer(text):
        name = found[0]
        first, *others = name.split(".")
        if first in _STEMS and any(
            part.isdecimal() or part in _INSIDE for part in others
        ):
            yield Named(name, found.start(), found.end())


def subject_of_name(name: str) -> Subject:
    """Return what a dotted name tells of itself."""
    index = next((int(part) for part in name.split(".") if part.isdecimal()), None)
    return Subject(name=name, layer=index, parts=parts_in(name.replace(".", " ")))


def parts_in(text: str) -> frozenset[str]:
    """Return the parts of a model that `text` names."""
    return frozenset(found.lastgroup for found in _PART.finditer(text) if found.lastgroup)


def layers_in(text: str) -> list[tuple[int, int, int]]:
    """Return (index, start, end) of every layer that is named by its number."""
    return [(int(each["index"]), each.start(), each.end()) for each in _LAYER.finditer(text)]
