"""A probe without a network: numbers drawn for each text and layer, in the shapes of real ones."""

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from engine.errors import CapabilityError
from engine.introspection.probe import MAX_TOKENS, Question

Floats = npt.NDArray[np.float32]
WIDTH, N_HEADS = 32, 4


def _drawn(text: str, name: str, *shape: int) -> Floats:
    seed = hashlib.blake2b(f"{text}\0{name}".encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(seed)).normal(0, 1, shape).astype(np.float32)


def _maps(text: str, place: int, n_tokens: int) -> Floats:
    """Shares of the tokens up to each, which sum to 1."""
    scores = np.exp(_drawn(text, str(place), N_HEADS, n_tokens, n_tokens))
    allowed = np.tril(scores)
    return (allowed / allowed.sum(axis=-1, keepdims=True)).astype(np.float32)


class DrawnProbe:
    """Words are tokens."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    def ask(self, question: Question) -> tuple[object, Mapping[str, Floats]]:
        self.asked.append(question)
        words = question.text.split()
        if not 1 <= len(words) <= MAX_TOKENS:
            problem = f"text has {len(words)} tokens, and must have 1 to {MAX_TOKENS}"
            raise CapabilityError("ValueError", problem)
        match question.operation:
            case "attention":
                maps = {str(p): _maps(question.text, p, len(words)) for p in question.places}
                return _tokens(words), maps
            case "gradients":
                target = {"tokens": words, "token": "on", "probability": 0.25}
                return target, _outputs(question, ("", *question.layers), len(words))
            case "generation":
                steps = [_step(n) for n in range(question.count)]
                text = "".join(str(step["token"]) for step in steps)
                outputs = _outputs(question, question.layers, question.count)
                return {"text": text, "steps": steps}, outputs
            case _:
                return _tokens(words), _outputs(question, question.layers, len(words))


def _tokens(words: list[str]) -> dict[str, object]:
    return {"ids": list(range(len(words))), "texts": words}


def _step(number: int) -> dict[str, object]:
    return {"token": f" {number}", "probability": 0.5, "entropy_bits": 1.0}


def _outputs(question: Question, names: tuple[str, ...], n_rows: int) -> dict[str, Floats]:
    return {name: _drawn(question.text, name, n_rows, WIDTH) for name in names}
