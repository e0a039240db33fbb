"""Where the models of a study answer: endpoints given, or servers that are started for it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from engine.cli.serving.turns import Turns
from engine.endpoint import Endpoint
from engine.errors import UsageError
from servers.fit.values import Mode
from servers.model import Precision

Opened = AbstractAsyncContextManager[tuple[Endpoint, ...]]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Which weights of a model are served."""

    name: str
    """What the user called the model: a path in full, so that it holds from everywhere."""
    repo: str
    """Hub id, directory or file."""
    quantization: Precision | None = None
    """None: the models that ship."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A way to get endpoints; nothing is started until `open` is entered."""

    kind: str
    """"endpoint", "embedded" or "vllm"; "endpoint+embedded" where it is both."""
    reason: str
    """Why this way was chosen, for the person at the terminal."""
    models: tuple[str, ...]
    given: Mapping[str, Endpoint] = field(default_factory=dict[str, Endpoint])
    """Endpoints that are the user's, by model; the servers of other models are ours."""
    open: Callable[[Path], Opened]
    """log directory -> endpoints of `models`, in their order."""
    promised_bytes: int = 0
    """RAM that servers may still take when all of them have been ready once."""
    weights: Mapping[str, Weights] = field(default_factory=dict[str, Weights])
    """By model; empty for endpoints that are given."""
    twins: Mapping[str, str] = field(default_factory=dict[str, str])
    """Arm -> the arm whose model it is once more, for those that are."""
    schedule: Mode = "together"
    """How the models share the machine."""
    turns: Turns | None = None
    """None: all answer at once."""


def pick(name: str, known: Sequence[str], flag: str) -> str:
    """Return `name` if it is one of `known`.

    Raises:
        UsageError: it is not; near matches and remedies are named.
    """
    if name in known:
        return name
    near = get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"{flag} {name!r}: not served here.{hint} There are: {', '.join(known)}. "
        "Another model needs --endpoint NAME=URL, or a GPU and vLLM (see `plan`)."
    )


def checkpoints_of(named: Sequence[str], models: Sequence[str]) -> dict[str, str]:
    """Return the places that `--checkpoint` names, by model: directories or repositories.

    Raises:
        UsageError: one is malformed, or names a model that is not served.
    """
    pairs = [text.partition("=") for text in named]
    for name, _, place in pairs:
        if not name or not place:
            raise UsageError(
                f"--checkpoint {name!r}: expected NAME=DIR or NAME=OWNER/NAME, e.g. a=/models/a."
            )
        pick(name, models, "--checkpoint")
    return {name: place for name, _, place in pairs}
