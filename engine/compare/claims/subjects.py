"""Of what something is said: names of layers and parameters, an index, a part. Pure."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property

import msgspec

_DOTTED = re.compile(r"(?<![\w./])(?:[A-Za-z_]\w{0,40})(?:\.(?:\w{1,40}|\*)){1,12}(?![\w(])")
_STEMS = frozenset({"model", "transformer", "lm_head", "layers", "h", "gpt_neox"})
_INSIDE = frozenset(
    {
        *("weight", "bias", "embed_tokens", "norm", "layers", "h", "wte", "wpe", "ln_f"),
        *("self_attn", "attn", "attention", "mlp"),
    }
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
    r"(?<![A-Za-z])(?=\w)(?:"
    + "|".join(f"(?P<{name}>{words})" for name, words in _PARTS.items())
    + r")(?![A-Za-z])",
    re.IGNORECASE,
)
_LAYER = re.compile(
    r"(?<![\w])(?=[bl])(?:layers?|blocks?)[ _.#]?(?P<index>\d{1,4})(?![\w]|\.\d)", re.IGNORECASE
)
_HEAD = re.compile(r"\bhead[ _#]?(?P<index>\d{1,4})\b", re.IGNORECASE)


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
    for found in _DOTTED.finditer(text) if "." in text else ():
        name = found[0]
        first, *others = name.split(".")
        if first in _STEMS and any(part.isdecimal() or part in _INSIDE for part in others):
            yield Named(name, found.start(), found.end())


def subject_of_name(name: str) -> Subject:
    """Return what a dotted name tells of itself."""
    index = next((int(part) for part in name.split(".") if part.isdecimal()), None)
    return Subject(name=name, layer=index, parts=parts_in(name.replace(".", " ")))


def parts_in(text: str) -> frozenset[str]:
    """Return the parts of a model that `text` names."""
    return frozenset(found.lastgroup for found in _PART.finditer(text) if found.lastgroup)


def layers_in(text: str) -> list[int]:
    """Return the index of every layer that is named by its number."""
    return [int(found["index"]) for found in _LAYER.finditer(text)]


class Places(msgspec.Struct, frozen=True, dict=True):
    """Where a text names layers, heads and parts: found once, then asked for any stretch of it."""

    text: str

    @cached_property
    def _names(self) -> "_Marks":
        return _Marks([(each.start, each.name) for each in names_in(self.text)])

    @cached_property
    def _layers(self) -> "_Marks":
        return _Marks([(each.start(), each["index"]) for each in _LAYER.finditer(self.text)])

    @cached_property
    def _heads(self) -> "_Marks":
        return _Marks([(each.start(), each["index"]) for each in _HEAD.finditer(self.text)])

    @cached_property
    def _parts(self) -> "_Marks":
        found = ((each.start(), each.lastgroup or "") for each in _PART.finditer(self.text))
        return _Marks(list(found))

    def head(self, start: int, end: int) -> int | None:
        """Return the head that is named last between two places."""
        found = self._heads.between(start, end)
        return int(found[-1]) if found else None

    def name(self, start: int, end: int) -> str | None:
        """Return the dotted name that stands last between two places."""
        found = self._names.between(start, end)
        return found[-1] if found else None

    def layers(self, start: int, end: int) -> list[int]:
        """Return the layers that are named by number between two places."""
        return [int(index) for index in self._layers.between(start, end)]

    def parts(self, start: int, end: int) -> frozenset[str]:
        """Return the parts that are named between two places."""
        return frozenset(self._parts.between(start, end))


class _Marks:
    def __init__(self, found: list[tuple[int, str]]) -> None:
        self._starts = [start for start, _ in found]
        self._what = [what for _, what in found]

    def between(self, start: int, end: int) -> list[str]:
        return self._what[bisect_left(self._starts, start) : bisect_left(self._starts, end)]
