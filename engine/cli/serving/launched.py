"""vLLM servers, planned for the GPU that is there and started for the run."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from engine.cli.console import say
from engine.cli.options import Options
from engine.cli.planning import Wanted, ask, find_models, planned
from engine.cli.serve import starts_for
from engine.cli.serve_view import step_text
from engine.cli.serving import Serving, checkpoints_of
from engine.endpoint import Endpoint
from engine.settings import Settings, read_settings
from servers.fit import LaunchPlan
from servers.hardware import HardwareProfile
from servers.launcher import launch


def launched(options: Options, wanted: Sequence[str], hardware: HardwareProfile) -> Serving:
    """Return the serving of the `wanted` models, of the comparison pair when none is named.

    Raises:
        UsageError: a model is not known.
        NotReadyError: the models do not fit, or vLLM is not installed.
    """
    plan = planned(
        ask(
            Wanted(
                models=",".join(wanted) or None,
                hardware=options.hardware,
                quantization=options.quantization,
            )
        )
    )
    starts = starts_for(plan, options.vllm)
    names = ",".join(wanted) or None
    models = tuple(preset.key for preset in find_models(names, read_settings()))
    checkpoints = checkpoints_of(options, models)
    state_dir = read_settings().cache_dir

    @asynccontextmanager
    async def opened(log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        async with launch(
            starts,
            log_dir=log_dir,
            state_dir=state_dir,
            tell=lambda step: say(step_text(step)),
        ) as endpoints:
            found = {endpoint.model: endpoint for endpoint in endpoints}
            repos = {server.model: server.repo for server in plan.servers}
            yield tuple(
                with_weights(found[model], repos[model], checkpoints.get(model)) for model in models
            )

    return Serving(
        kind="vllm",
        reason=f"starting vLLM on {hardware.title}: {_what(plan)}.",
        models=models,
        open=opened,
    )


def with_weights(endpoint: Endpoint, repo: str, named: str | None) -> Endpoint:
    """Return `endpoint` with the directory of its weights: named, its own, or what it fetched."""
    fetched = snapshot(read_settings(), repo)
    folder = named or endpoint.checkpoint or (str(fetched) if fetched else None)
    return msgspec.structs.replace(endpoint, checkpoint=folder)


def snapshot(settings: Settings, repo: str) -> Path | None:
    """Return the directory of the newest snapshot of a hub repository, if it was fetched."""
    folder = settings.hub_cache / f"models--{repo.replace('/', '--')}"
    reference = folder / "refs" / "main"
    if not reference.is_file():
        return None
    found = folder / "snapshots" / reference.read_text(encoding="utf-8").strip()
    return found if (found / "config.json").exists() else None


def _what(plan: LaunchPlan) -> str:
    return ", ".join(
        f"{server.model} {server.quantization} with {server.max_model_len} tokens"
        for server in plan.servers
    )
