"""Where the models of a study answer: the endpoints given, or servers that are started for it."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import msgspec

from engine.chat.discovery import resolve
from engine.cli.options import Options
from engine.endpoint import Endpoint, check_distinct, parse_endpoint
from engine.errors import UsageError
from engine.settings import read_key
from servers.embedded.launcher import serve
from servers.embedded.model import EmbeddedModel, tiny_models

N_SLOTS = 32
"""Requests that one embedded server works on at once; the rest queue in the server."""

Opened = AbstractAsyncContextManager[tuple[Endpoint, ...]]


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A way to get endpoints; nothing is started until `open` is entered."""

    kind: str
    reason: str
    """Why this way was chosen, for the person at the terminal."""
    models: tuple[str, ...]
    open: Callable[[Path], Opened]
    """log directory -> endpoints of `models`, in their order."""


def choose(options: Options, wanted: Sequence[str]) -> Serving:
    """Return how the `wanted` models are served; all that there are when none is named.

    Raises:
        UsageError: an endpoint or a model name is wrong; the remedy is named.
        NotReadyError: the models that ship are damaged.
    """
    return _given(options, wanted) if options.endpoint else _embedded(options, wanted)


def _given(options: Options, wanted: Sequence[str]) -> Serving:
    checkpoints = _checkpoints(options)
    parsed = [parse_endpoint(text) for text in options.endpoint]
    check_distinct(parsed)
    named = {endpoint.model: endpoint for endpoint in parsed}
    for name in checkpoints:
        _pick(name, tuple(named), "--checkpoint")
    models = tuple(_pick(name, tuple(named), "--model") for name in wanted) or tuple(named)
    endpoints = [
        msgspec.structs.replace(named[model], checkpoint=checkpoints.get(model)) for model in models
    ]
    reason = "using the endpoints given: " + ", ".join(
        f"{endpoint.model} at {endpoint.url}" for endpoint in endpoints
    )

    @asynccontextmanager
    async def opened(_log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        yield tuple([await resolve(item, key=read_key(item.key_variable)) for item in endpoints])

    return Serving(kind="endpoint", reason=reason, models=models, open=opened)


def _embedded(options: Options, wanted: Sequence[str]) -> Serving:
    if options.checkpoint:
        raise UsageError("--checkpoint names the weights of an --endpoint; there is no --endpoint.")
    known = {model.key: model for model in tiny_models()}
    models = tuple(_pick(name, tuple(known), "--model") for name in wanted) or tuple(known)
    chosen: list[EmbeddedModel] = [known[model] for model in models]
    reason = (
        "no --endpoint given: starting llama.cpp servers on this machine for the tiny models that "
        f"ship with the project ({', '.join(models)}). They are toys that show how it all works."
    )

    def opened(log_dir: Path) -> Opened:
        return serve(chosen, log_dir=log_dir, n_slots=N_SLOTS)

    return Serving(kind="embedded", reason=reason, models=models, open=opened)


def _checkpoints(options: Options) -> dict[str, str]:
    pairs = [text.partition("=") for text in options.checkpoint]
    for name, _, folder in pairs:
        if not name or not folder:
            raise UsageError(f"--checkpoint {name!r}: expected NAME=DIR, e.g. a=/models/a.")
    return {name: folder for name, _, folder in pairs}


def _pick(name: str, known: Sequence[str], flag: str) -> str:
    if name in known:
        return name
    near = get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"{flag} {name!r}: not served here.{hint} There are: {', '.join(known)}. "
        "Another model needs --endpoint NAME=URL."
    )
