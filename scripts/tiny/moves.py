"""What the teacher does in one turn: an intention, a block of code, a way to read its output."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PROJECTIONS = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)
BLOCKS = ("self_attn", "mlp")
_PARAMETER = re.compile(r"model(?:\.\w+)*\.\d+\.[a-z_.]+\.weight|model\.embed_tokens\.weight")
_LAYER_NUMBER = re.compile(r"layers\.(\d+)\.")

Fields = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Move:
    """One measurement: how it is announced, made and read."""

    occasion: str
    """Key of the phrases about it."""
    modules: tuple[str, ...]
    body: str
    read: Callable[[str], Fields]
    """Output -> fields of the remark and the finding."""
    fields: Fields = field(default_factory=dict[str, object])

    @property
    def code(self) -> str:
        """The block, imports included."""
        return f"{imports(self.modules)}\n{self.body}"


def imports(modules: Sequence[str]) -> str:
    """Return the import line of `modules`."""
    return f"from introspection import {', '.join(sorted(modules))}"


def value(text: str, key: str) -> str:
    """Return the figure that `text` shows for `key`."""
    found = re.search(rf"\b{key}\b['\": =]+(-?[\d.]+(?:e-?\d+)?|None|\w+)", text)
    assert found, (key, text)
    return found.group(1)


class Seen:
    """Names that the conversation has shown so far: only these are asked for."""

    def __init__(self) -> None:
        """Start with what the prompt shows."""
        self.numbers = {0, 1}
        self.parameters: list[str] = []

    def learn(self, text: str) -> None:
        """Add the names in an output."""
        found = _PARAMETER.findall(text)
        self.parameters += [name for name in found if name not in self.parameters]
        self.numbers |= {int(number) for number in _LAYER_NUMBER.findall(text)}

    def parameter(self, rng: random.Random) -> str:
        """Return the name of a parameter that exists."""
        if self.parameters and rng.random() < 0.65:  # noqa: PLR2004 - mostly copied
            return rng.choice(self.parameters)
        return f"{self.layer(rng)}.{rng.choice(PROJECTIONS)}.weight"

    def layer(self, rng: random.Random) -> str:
        """Return the name of a decoder layer that exists."""
        if len(self.numbers) > 2 and rng.random() < 0.5:  # noqa: PLR2004 - mostly the first two
            return f"model.layers.{rng.choice(sorted(self.numbers))}"
        return f"model.layers.{rng.choice((0, 0, 1))}"

    def pair(self, rng: random.Random) -> tuple[str, str]:
        """Return the same parameter of two layers, in rising order."""
        first, second = sorted(rng.sample(sorted(self.numbers), 2))
        part = rng.choice(PROJECTIONS)
        return f"model.layers.{first}.{part}.weight", f"model.layers.{second}.{part}.weight"


_SUMMARY_KEYS = ("n_layers", "hidden_size", "n_attention_heads")


def summary(rng: random.Random, _seen: Seen) -> Move:
    """Ask for the summary of the architecture."""
    body = rng.choice(
        (
            "print(architecture.get_architecture_summary())",
            (
                "summary = architecture.get_architecture_summary()\n"
                'for key in ("n_layers", "hidden_size", "n_attention_heads", "n_parameters"):\n'
                "    print(key, summary[key])"
            ),
        )
    )
    return Move(
        occasion="summary",
        modules=("architecture",),
        body=body,
        read=lambda text: {key: value(text, key) for key in _SUMMARY_KEYS},
    )


def list_layers(rng: random.Random, seen: Seen) -> Move:
    """List the layers, grouped or by name."""
    number = rng.choice(sorted(seen.numbers))
    pattern = rng.choice((f"layers.{number}.", "self_attn", "mlp"))
    body = (
        f'found = architecture.list_layers("{pattern}")\n'
        'print("n_names", found["n_names"])\nprint(found["layers"][:6])'
    )
    return Move(
        occasion="layers",
        modules=("architecture",),
        body=body,
        fields={"pattern": pattern},
        read=lambda text: {"n_names": value(text, "n_names")},
    )


def list_parameters(rng: random.Random, seen: Seen) -> Move:
    """List the parameters, grouped or by name."""
    number = rng.choice(sorted(seen.numbers))
    pattern = rng.choice(
        (f"layers.{number}.mlp", f"layers.{number}.self_attn", "q_proj", "up_proj")
    )
    body = (
        f'found = weights.list_parameters("{pattern}")\nprint("n_names", found["n_names"])\n'
        'print(list(found["parameters"])[-3:])'
    )
    return Move(
        occasion="parameters",
        modules=("weights",),
        body=body,
        fields={"pattern": pattern},
        read=lambda text: {"n_names": value(text, "n_names")},
    )


def describe(rng: random.Random, seen: Seen) -> Move:
    """Read the description of a layer."""
    name = rng.choice((seen.layer(rng), f"{seen.layer(rng)}.{rng.choice(BLOCKS)}"))
    body = (
        f'layer = architecture.describe_layer("{name}")\n'
        'print("kind:", layer["kind"])\nprint(layer["description"])'
    )

    def read(text: str) -> Fields:
        found = re.search(r"kind'?:'? '?(decoder layer|attention|mlp|norm|linear)", text)
        assert found, text
        return {"kind": found.group(1)}

    return Move(
        occasion="describe", modules=("architecture",), body=body, fields={"name": name}, read=read
    )


def info(rng: random.Random, seen: Seen) -> Move:
    """Ask for the figures of a layer."""
    name = rng.choice((seen.layer(rng), f"{seen.layer(rng)}.{rng.choice(BLOCKS)}"))
    body = (
        f'info = architecture.get_layer_info("{name}")\nprint("n_parameters", info["n_parameters"])'
    )
    return Move(
        occasion="info",
        modules=("architecture",),
        body=body,
        fields={"name": name},
        read=lambda text: {"n_parameters": value(text, "n_parameters")},
    )


def statistics(rng: random.Random, seen: Seen) -> Move:
    """Measure one parameter."""
    name = seen.parameter(rng)
    ask = f'stats = weights.get_weight_statistics("{name}")\n'
    body = ask + rng.choice(
        (
            'print("mean", round(stats["mean"], 4), "std", round(stats["std"], 4))',
            'for key in ("shape", "mean", "std", "max"):\n    print(key, stats[key])',
        )
    )
    return Move(
        occasion="statistics",
        modules=("weights",),
        body=body,
        fields={"name": name},
        read=lambda text: {"mean": value(text, "mean"), "std": value(text, "std")},
    )


def sweep(rng: random.Random, _seen: Seen) -> Move:
    """Measure one projection early, in the middle and late."""
    part = rng.choice(PROJECTIONS)
    body = (
        'n = architecture.get_architecture_summary()["n_layers"]\n'
        "for i in (0, n // 2, n - 1):\n"
        f'    stats = weights.get_weight_statistics(f"model.layers.{{i}}.{part}.weight")\n'
        '    print("layer", i, "std", round(stats["std"], 4))'
    )

    def read(text: str) -> Fields:
        rows = re.findall(r"layer (\d+) std ([\d.e-]+)", text)
        return {"first": rows[0][1], "last": rows[-1][1], "end": rows[-1][0]}

    return Move(
        occasion="sweep",
        modules=("architecture", "weights"),
        body=body,
        fields={"part": part},
        read=read,
    )


def compare(rng: random.Random, seen: Seen) -> Move:
    """Compare the same parameter of two layers."""
    first, second = seen.pair(rng)
    ask = f'first = "{first}"\nsecond = "{second}"\n'
    body = (
        ask + "both = weights.compare_parameters(first, second)\n"
        'print("cosine_similarity", round(both["cosine_similarity"], 4))'
    )
    return Move(
        occasion="compare",
        modules=("weights",),
        body=body,
        fields={"name": first, "other": second},
        read=lambda text: {"cosine": value(text, "cosine_similarity")},
    )


def shared(_rng: random.Random, _seen: Seen) -> Move:
    """Ask for shared weights."""

    def read(text: str) -> Fields:
        names = re.findall(r"'([\w.]+)'", text)
        return {"found": " and ".join(names)} if names else {}

    return Move(
        occasion="shared",
        modules=("weights",),
        body="print(weights.get_shared_weights())",
        read=read,
    )


def share(rng: random.Random, seen: Seen) -> Move:
    """Count the weights of attention and MLP in one layer."""
    name = seen.layer(rng)
    body = (
        'for part in ("self_attn", "mlp"):\n'
        f'    info = architecture.get_layer_info("{name}." + part)\n'
        '    print(part, info["n_parameters"])'
    )
    return Move(
        occasion="share",
        modules=("architecture",),
        body=body,
        fields={"name": name},
        read=lambda text: {"attention": value(text, "self_attn"), "mlp": value(text, "mlp")},
    )
