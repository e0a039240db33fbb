"""The models that ship, on llama.cpp servers of this machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.cli.console import say
from engine.cli.serving import Opened, Serving, Weights, pick
from servers.embedded.launcher import serve
from servers.embedded.model import TINY_KEYS, tiny_models

__all__ = ["TINY_KEYS", "embedded"]


def embedded(wanted: Sequence[str], *, why: str, inherited: Mapping[str, str]) -> Serving:
    """Return the serving of the `wanted` tiny models, of all when none is named.

    `inherited`: the environment that servers get, secrets left out.

    Raises:
        UsageError: a name is none of theirs.
        NotReadyError: a file of theirs is damaged.
    """
    models = tuple(pick(name, TINY_KEYS, "--model") for name in wanted) or TINY_KEYS
    known = {model.key: model for model in tiny_models()}
    reason = (
        f"starting llama.cpp servers for {', '.join(models)}: {why}. "
        "They are toys that show how everything works."
    )

    def opened(log_dir: Path) -> Opened:
        chosen = [known[model] for model in models]
        return serve(
            chosen,
            log_dir=log_dir,
            on_death=lambda _model, words: say(words),
            inherited=inherited,
        )

    return Serving(
        kind="embedded",
        reason=reason,
        models=models,
        open=opened,
        weights={model: Weights(name=model, repo=str(known[model].directory)) for model in models},
    )
