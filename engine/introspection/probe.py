"""The seam to a probe: a torch copy of the weights, asked about one text at a time.

Names are checked here, against the checkpoint, so that a wrong one starts no process.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from engine.errors import CapabilityError
from engine.introspection.checkpoint import Checkpoint
from engine.introspection.findings import check_length
from engine.introspection.layers import Layer, attending_of, layers_of
from engine.introspection.names import check_count, unknown_name
from engine.introspection.safetensors import Floats

MAX_TOKENS = 256
"""Most tokens of one text: what the memory of a probe is planned for."""
MAX_NAMES = 40
_MAX_CHARS = 20_000

PROBED = ("activations", "temporal", "attention", "gradient", "history")
"""Capabilities that a probe answers."""


Operation = Literal["tokens", "outputs", "attention", "gradients", "generation"]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a probe, about one text."""

    operation: Operation
    text: str
    layers: tuple[str, ...] = ()
    places: tuple[int, ...] = ()
    """Decoder layers by their place among those that have attention, from 0."""
    count: int = 0
    """Tokens to generate."""


class Probe(Protocol):
    """A process that holds the weights. Blocks: for a thread."""

    def ask(self, question: Question) -> tuple[object, Mapping[str, Floats]]:
        """Return the plain answer to one question, and the arrays that belong to it.

        Raises:
            CapabilityError: the question cannot be answered; for the model to see.
            InvestigationError: the process failed.
        """
        ...


class Tokens(msgspec.Struct, frozen=True):
    """A text as the model reads it."""

    ids: list[int]
    texts: list[str]


class Target(msgspec.Struct, frozen=True):
    """What gradients are of: the log-probability of the most probable next token."""

    tokens: list[str]
    token: str
    probability: float


class Step(msgspec.Struct, frozen=True):
    """One token of a generation, the most probable one."""

    token: str
    probability: float
    entropy_bits: float
    """Of the distribution over all tokens."""


class Written(msgspec.Struct, frozen=True):
    """How a text went on."""

    text: str
    steps: list[Step]


class Insides:
    """What can be asked about the inside of one model: names checked, answers typed."""

    def __init__(self, probe: Probe, checkpoint: Checkpoint) -> None:
        """Ask `probe`, which holds the weights of `checkpoint`."""
        self._probe = probe
        found = layers_of(checkpoint.parameters)
        self.layers = {name: each for name, each in found.items() if each.kind != "layer list"}
        """What puts out a value, in the order of the model."""
        self.decoder = [each.name for each in found.values() if each.kind == "decoder layer"]
        self._attending = attending_of(found)

    def tokens(self, text: str) -> Tokens:
        """Return the tokens of `text`."""
        return msgspec.convert(self._ask(Question(operation="tokens", text=text))[0], Tokens)

    def outputs(self, text: str, layers: Iterable[str]) -> Mapping[str, Floats]:
        """Return what each layer puts out: float32 (tokens, size)."""
        return self._ask(Question(operation="outputs", text=text, layers=tuple(layers)))[1]

    def attention(self, text: str, layers: Sequence[str]) -> dict[str, Floats]:
        """Return the attention of each of `layers`: float32 (heads, tokens, tokens).

        Row i of a head says how much token i attends to each token; it sums to 1.
        """
        places = tuple(self._attending.index(name) for name in layers)
        found = self._ask(Question(operation="attention", text=text, places=places))[1]
        return {name: found[str(place)] for name, place in zip(layers, places, strict=True)}

    def gradients(self, text: str, layers: Iterable[str]) -> tuple[Target, Mapping[str, Floats]]:
        """Return gradients by the input embeddings ("") and by the outputs of `layers`.

        float32 (tokens, size), of the log-probability of the target.
        """
        question = Question(operation="gradients", text=text, layers=tuple(layers))
        target, arrays = self._ask(question)
        return msgspec.convert(target, Target), arrays

    def generation(
        self, text: str, layers: Iterable[str], count: int
    ) -> tuple[Written, Mapping[str, Floats]]:
        """Return at most `count` steps of greedy generation and the outputs at each: (steps, size).

        There are fewer when the model ends the text.
        """
        question = Question(operation="generation", text=text, layers=tuple(layers), count=count)
        written, arrays = self._ask(question)
        return msgspec.convert(written, Written), arrays

    def named(self, layer_name: str | list[str] | None) -> list[str]:
        """Return the names of layers, all decoder layers for None.

        Raises:
            CapabilityError: one is unknown; names the nearest. Or there are too many.
        """
        if layer_name is None:
            return self.decoder
        names = [layer_name] if isinstance(layer_name, str) else layer_name
        check_count(names, most=MAX_NAMES)
        return [self._layer(name).name for name in dict.fromkeys(names)]

    def attending(self, layer_name: str | list[str] | None) -> list[str]:
        """Return the decoder layers that are meant, for None all with attention.

        An attention layer stands for the one that it is in.

        Raises:
            CapabilityError: one has no attention, or none has.
        """
        if layer_name is not None:
            return list(dict.fromkeys(self._attends(name) for name in self.named(layer_name)))
        if not self._attending:
            raise CapabilityError("ValueError", "no layer of this model has attention")
        return self._attending

    def _attends(self, name: str) -> str:
        if name in self._attending:
            return name
        parent = name.rpartition(".")[0]
        if self.layers[name].kind == "attention" and parent in self._attending:
            return parent
        other = f"one is {self._attending[0]!r}" if self._attending else "there is none"
        raise CapabilityError("ValueError", f"{name!r} is no layer with attention; {other}")

    def _layer(self, name: str) -> Layer:
        if name in self.layers:
            return self.layers[name]
        raise unknown_name("layer", name, known=list(self.layers), see="activations.list_layers()")

    def _ask(self, question: Question) -> tuple[object, Mapping[str, Floats]]:
        check_length("text", question.text, most=_MAX_CHARS)
        return self._probe.ask(question)
