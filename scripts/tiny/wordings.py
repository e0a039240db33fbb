"""Other wordings of a phase: the same experiments, prompts said in other words."""

import inspect
import random
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.introspection.activations import Activations
from engine.introspection.attention import Attention
from engine.introspection.gradient import Gradient
from engine.introspection.history import History
from engine.introspection.probe import PROBED
from engine.introspection.temporal import Temporal
from engine.loop import Powers
from engine.phase import Experiment, Phase
from engine.sandbox import Answer
from engine.transcript import Call

_FILE = Path(__file__).with_name("wordings.toml")
_REAL_SHARE = 0.5
"""Share of transcripts under the prompts exactly as they ship."""
_PROBED_SHARE = 0.5
"""Share of transcripts whose prompt also lists what only a probe answers."""
_PROBED_LINES = {
    name: (inspect.getdoc(kind) or "").partition("\n")[0]
    for name, kind in zip(
        PROBED, (Activations, Temporal, Attention, Gradient, History), strict=True
    )
}
_FIRST_WAY_SHARE = 0.4
_LEFT_OUT_SHARE = 0.12


@dataclass(frozen=True)
class Reworded:
    """Powers whose lines in the system prompt are said otherwise."""

    powers: Powers
    said: Sequence[tuple[str, str]]
    """In place of what is granted from the start; what comes later keeps its words."""
    n_granted: int

    @property
    def lines(self) -> Sequence[tuple[str, str]]:
        """The lines as they are said."""
        return [*self.said, *self.powers.lines[self.n_granted :]]

    @property
    def modules(self) -> Mapping[str, str]:
        """The same modules."""
        return self.powers.modules

    @property
    def answer(self) -> Answer:
        """The same answers."""
        return self.powers.answer

    def grant(self, *names: str) -> Mapping[str, str]:
        """Grant the same."""
        return self.powers.grant(*names)

    def restore(self, calls: Iterable[Call]) -> None:
        """Apply recorded calls that changed state."""
        self.powers.restore(calls)


@lru_cache(maxsize=1)
def _wordings() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def reworded(phase: Phase, powers: Powers, rng: random.Random) -> tuple[Phase, Powers]:
    """Return the phase and powers as they ship or in other words, as without or with a probe."""
    lines = list(powers.lines)
    if rng.random() < _PROBED_SHARE:
        lines = _with_probe(phase, lines)
    if rng.random() < _REAL_SHARE:
        return phase, Reworded(powers, lines, len(powers.lines))
    texts = {"system": _system(rng), "heritage": _heritage(phase, rng)}
    if rng.random() < 0.2:  # noqa: PLR2004 - the real form of an observation prevails
        texts["observation"] = rng.choice(_wordings()["observation"]["ways"])
    experiments = tuple(_asked(each, rng) for each in phase.experiments)
    changed = phase.model_copy(
        update={"texts": phase.texts.model_copy(update=texts), "experiments": experiments}
    )
    return changed, Reworded(powers, _lines(lines, rng), len(powers.lines))


def _with_probe(phase: Phase, lines: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the lines that a machine shows which can answer all that `phase` grants."""
    known = _PROBED_LINES | dict(lines)
    return [(name, known[name]) for name in phase.capabilities]


def _heritage(phase: Phase, rng: random.Random) -> str:
    ways = _wordings()["heritage"]["ways"]
    return phase.texts.heritage if rng.random() < 0.3 else rng.choice(ways)  # noqa: PLR2004


def _system(rng: random.Random) -> str:
    parts = _wordings()["system"]
    chosen = [_way(part["ways"], rng) for part in parts]
    middle = [part for part in chosen[1:-1] if rng.random() > _LEFT_OUT_SHARE]
    if rng.random() < 0.3:  # noqa: PLR2004 - mostly in the order of the shipped prompt
        rng.shuffle(middle)
    return "\n\n".join([chosen[0], *middle, chosen[-1]])


def _way(ways: Sequence[str], rng: random.Random) -> str:
    return ways[0] if rng.random() < _FIRST_WAY_SHARE else rng.choice(ways)


def _asked(experiment: Experiment, rng: random.Random) -> Experiment:
    said = {"prompt": _prompt(experiment.name, experiment.prompt, rng)}
    if experiment.prompt_on_documents:
        said["prompt_on_documents"] = rng.choice(_wordings()["documents"]["ways"])
    return experiment.model_copy(update=said)


def _prompt(experiment: str, shipped: str, rng: random.Random) -> str:
    return shipped if rng.random() < 0.3 else rng.choice(_wordings()["experiments"][experiment])  # noqa: PLR2004


def _lines(lines: Sequence[tuple[str, str]], rng: random.Random) -> list[tuple[str, str]]:
    described = _wordings()["modules"]
    lines = [(name, rng.choice([line, *described.get(name, [])])) for name, line in lines]
    if rng.random() < 0.5:  # noqa: PLR2004 - an even mix
        others = rng.sample(described["other"], rng.randint(1, 4))
        lines += [(name, line) for name, line in others if name not in dict(lines)]
        rng.shuffle(lines)
    return lines
