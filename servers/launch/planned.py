"""A launch plan -> the starts that the launcher is given. Pure."""

from collections.abc import Mapping
from pathlib import Path

from servers import command
from servers.fit.values import LaunchPlan, ServerPlan
from servers.launch.values import ServerStart


def starts_of(
    plan: LaunchPlan, *, program: Path, inherited: Mapping[str, str], api_key: str | None = None
) -> tuple[ServerStart, ...]:
    """Return how the plan's vLLM servers are started, in the plan's order.

    `inherited` is the environment that they get beside what the plan sets.
    """
    names = {gpu.index: gpu.name for gpu in plan.hardware.gpus}
    return tuple(
        ServerStart(
            model=server.model,
            argv=command.argv(server, program=(str(program),)),
            environment=command.environment(server, inherited=inherited, api_key=api_key),
            checkpoint=server.repo if Path(server.repo).is_dir() else None,
            max_model_len=server.max_model_len,
            needs_bytes=server.total_bytes // max(1, len(server.gpus)),
            kv_bytes=server.kv_bytes_per_gpu,
            gpu=_gpu(server, names),
        )
        for server in plan.servers
        if server.runtime == "vllm"
    )


def _gpu(server: ServerPlan, names: Mapping[int, str]) -> str:
    return names[server.gpus[0]] if server.gpus else "cpu"
