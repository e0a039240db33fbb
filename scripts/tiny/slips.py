"""Errors made on purpose, and what the teacher says when it has read the message about them.

The slip itself is never taught; its repair is.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from scripts.tiny.moves import Move
from scripts.tiny.phrases import phrase


@dataclass(frozen=True, kw_only=True)
class Slip:
    """A reply that goes wrong, and the opening words of the next one."""

    reply: str
    apology: str
    finish_reason: str = "stop"
    is_code: bool = True
    """The reply is bare code, to be put into a fence."""


Make = Callable[[random.Random, Move, str], Slip | None]
"""(random numbers, move, its right code) -> slip, or None where this kind does not apply."""


def fenced(lead: str, code: str) -> str:
    """Return a reply: some words, then one block of code."""
    block = f"```python\n{code}\n```"
    return f"{lead}\n\n{block}" if lead else block


def make_slip(rng: random.Random, move: Move, lead: str, code: str) -> Slip:
    """Return a slip of any kind that applies to `move`."""
    kinds = list(_KINDS)
    rng.shuffle(kinds)
    made = (kind(rng, move, code) for kind in kinds)
    slip = next(each for each in made if each)
    return replace(slip, reply=fenced(lead, slip.reply)) if slip.is_code else slip


def _missing_import(rng: random.Random, move: Move, code: str) -> Slip:
    without = code.partition("\n")[2]
    apology = phrase(rng, "repair", "missing_import", name=move.modules[0])
    return Slip(reply=without, apology=apology)


def _wrong_function(rng: random.Random, _move: Move, code: str) -> Slip | None:
    calls = re.findall(r"(?:weights|architecture)\.(\w+)\(", code)
    if not calls:
        return None
    name = rng.choice(calls)
    ways = (name.removeprefix("get_"), f"{name}s", name.replace("_", ""), f"show_{name}")
    wrong = rng.choice(ways)
    if wrong == name:
        wrong = f"{name}_all"
    apology = phrase(rng, "repair", "function", wrong=wrong, name=name)
    return Slip(reply=code.replace(f".{name}(", f".{wrong}("), apology=apology)


def _layer_for_parameter(rng: random.Random, move: Move, code: str) -> Slip | None:
    name = str(move.fields.get("name", ""))
    if not name.endswith("_proj.weight") or "similar" in code:
        return None
    apology = phrase(rng, "repair", "layer_for_parameter", name=name)
    layer = rng.choice((name.removesuffix(".weight"), name.rpartition(".")[0].rpartition(".")[0]))
    return Slip(reply=code.replace(f'"{name}"', f'"{layer}"'), apology=apology)


def _parameter_for_layer(rng: random.Random, move: Move, code: str) -> Slip | None:
    name = str(move.fields.get("name", ""))
    if not name.endswith((".mlp", ".self_attn")) or f'"{name}"' not in code:
        return None
    inside = "down_proj" if name.endswith("mlp") else "o_proj"
    apology = phrase(rng, "repair", "parameter_for_layer", name=name)
    return Slip(reply=code.replace(f'"{name}"', f'"{name}.{inside}.weight"'), apology=apology)


def _short_name(rng: random.Random, move: Move, code: str) -> Slip | None:
    name = str(move.fields.get("name", ""))
    if not name.startswith("model.layers.") or f'"{name}"' not in code:
        return None
    short = rng.choice((name.removeprefix("model."), name.replace("layers.", "layer.")))
    apology = f"The full name is {name}."
    return Slip(reply=code.replace(f'"{name}"', f'"{short}"'), apology=apology)


def _beyond(rng: random.Random, move: Move, code: str) -> Slip | None:
    name = str(move.fields.get("name", ""))
    if not name.startswith("model.layers.") or f'"{name}"' not in code:
        return None
    beyond = re.sub(r"layers\.\d+", f"layers.{rng.choice((41, 50, 64, 80, 99))}", name)
    apology = f"There is no such layer. I use {name}."
    return Slip(reply=code.replace(f'"{name}"', f'"{beyond}"'), apology=apology)


def _wrong_key(rng: random.Random, _move: Move, code: str) -> Slip | None:
    keys = re.findall(r'\["(\w+)"\]', code)
    if not keys:
        return None
    key = rng.choice(keys)
    wrong = rng.choice((key.removeprefix("n_"), f"{key}_value", f"num_{key}", key.upper()))
    wrong = wrong if wrong != key else f"{key}_count"
    apology = f"The key is called {key}, not {wrong}."
    return Slip(reply=code.replace(f'["{key}"]', f'["{wrong}"]'), apology=apology)


def _syntax(rng: random.Random, _move: Move, code: str) -> Slip:
    broken = code[: code.rindex(")")] + code[code.rindex(")") + 1 :]
    return Slip(reply=broken, apology=phrase(rng, "repair", "syntax"))


def _argument(rng: random.Random, _move: Move, code: str) -> Slip | None:
    found = re.search(r"(describe_layer|get_layer_info|get_weight_statistics)\(([^()]+)\)", code)
    if not found:
        return None
    wrong = rng.choice(("layer", "verbose", "detail", "depth"))
    apology = phrase(rng, "repair", "argument", wrong=wrong)
    call = f"{found.group(1)}({found.group(2)}, {wrong}=1)"
    return Slip(reply=code.replace(found.group(), call), apology=apology)


def _silent(rng: random.Random, move: Move, _code: str) -> Slip | None:
    if move.occasion != "summary":
        return None
    silent = (
        "from introspection import architecture\nsummary = architecture.get_architecture_summary()"
    )
    return Slip(reply=silent, apology=phrase(rng, "repair", "silent"))


def _question(rng: random.Random, _move: Move, _code: str) -> Slip | None:
    if rng.random() < 0.5:  # noqa: PLR2004 - rarer than errors in code
        return None
    question = phrase(rng, "question", "any")
    return Slip(reply=question, apology=phrase(rng, "repair", "nudge"), is_code=False)


def _cut(rng: random.Random, _move: Move, code: str) -> Slip | None:
    if rng.random() < 0.5:  # noqa: PLR2004 - rarer than errors in code
        return None
    text = fenced(phrase(rng, "intent", "summary"), code)
    return Slip(
        reply=text[: rng.randrange(len(text) // 2, len(text) - 4)].rstrip(),
        apology=phrase(rng, "repair", "cut"),
        finish_reason="length",
        is_code=False,
    )


def _malformed(rng: random.Random, _move: Move, code: str) -> Slip | None:
    if rng.random() < 0.5:  # noqa: PLR2004 - rarer than errors in code
        return None
    return Slip(
        reply=f"Now I look. ```python {code.splitlines()[0]} ```",
        apology=phrase(rng, "repair", "malformed"),
        is_code=False,
    )


_KINDS: tuple[Make, ...] = (
    _missing_import,
    _wrong_function,
    _layer_for_parameter,
    _parameter_for_layer,
    _short_name,
    _beyond,
    _wrong_key,
    _syntax,
    _argument,
    _silent,
    _question,
    _cut,
    _malformed,
)
