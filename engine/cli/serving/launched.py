"""vLLM servers, planned for the GPU that is there and started for the run."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from engine.cli.console import say
from engine.cli.options import Options
from engine.cli.planning import Wanted, ask, planned
from engine.cli.serve import starts_for
from engine.cli.serve_view import step_text
from engine.cli.serving import Serving
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
    state_dir = read_settings().cache_dir

    @asynccontextmanager
    async def opened(log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        async with launch(
            starts,
            log_dir=log_dir,
            state_dir=state_dir,
            tell=lambda step: say(step_text(step)),
        ) as endpoints:
            repos = {server.model: server.repo for server in plan.servers}
            yield tuple(with_weights(each, repos[each.model]) for each in endpoints)

    return Serving(
        kind="vllm",
        reason=f"starting vLLM on {hardware.title}: {_what(plan)}.",
        models=tuple(start.model for start in starts),
        open=opened,
    )


def with_weights(endpoint: Endpoint, repo: str) -> Endpoint:
    """Return `endpoint` with the directory that holds the weights which its server fetched."""
    if endpoint.checkpoint:
        return endpoint
    folder = snapshot(read_settings(), repo)
    return msgspec.structs.replace(endpoint, checkpoint=str(folder) if folder else None)


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
