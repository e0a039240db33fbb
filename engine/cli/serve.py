"""`serve`: start the planned servers and keep them until Ctrl-C."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.cli.console import emit, emit_json, say
from engine.cli.planning import Wanted, ask, planned
from engine.cli.serve_view import Watch, step_text
from engine.endpoint import Endpoint
from engine.errors import UsageError
from engine.settings import child_environment, read_key, read_settings
from servers.fit import LaunchPlan
from servers.install import find_program
from servers.install.builds import BUILDS
from servers.launch.planned import starts_of
from servers.launch.values import ServerStart
from servers.launcher import KEY_VARIABLE, launch

REFRESH_S = 2.0


def serve(
    *,
    wanted: Wanted | None = None,
    vllm: Path | None = None,
    logs: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Path | None = None,
) -> None:
    """Start the servers of a plan, keep them alive, and end them at Ctrl-C.

    Parameters
    ----------
    vllm
        Program to start in place of a vllm on PATH or the one that `install vllm` made.
    logs
        Directory for the servers' logs. Default: logs in the cache directory.
    as_json
        Print the endpoints as JSON, by model, once all are ready.
    config
        TOML file with values for these flags.
    """
    del config  # the application reads it before it reads the flags
    plan = planned(ask(wanted or Wanted()))
    starts = starts_for(plan, vllm)
    log_dir = logs or read_settings().cache_dir / "logs"
    try:
        asyncio.run(_keep(starts, log_dir=log_dir, as_json=as_json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped: every server has ended.")


def starts_for(plan: LaunchPlan, given: Path | None) -> tuple[ServerStart, ...]:
    """Return how the servers of `plan` are started, with the program `given` or the one found.

    Raises:
        UsageError: the plan has a server that is not vLLM's, or `given` is no program.
        NotReadyError: vLLM is not installed.
    """
    elsewhere = [server.model for server in plan.servers if server.runtime != "vllm"]
    if elsewhere:
        raise UsageError(
            f"--models {', '.join(elsewhere)}: without a GPU these run on the embedded server, "
            "which `run` and `compare` start by themselves; `serve` starts vLLM servers."
        )
    inherited = child_environment()
    program = find_program(
        BUILDS[plan.build],
        read_settings().cache_dir,
        given=given,
        search_path=inherited.get("PATH"),
    )
    return starts_of(plan, program=program, inherited=inherited, api_key=read_key(KEY_VARIABLE))


async def _keep(starts: Sequence[ServerStart], *, log_dir: Path, as_json: bool) -> None:
    _heed_signals()
    async with launch(
        starts,
        log_dir=log_dir,
        state_dir=read_settings().cache_dir,
        tell=lambda step: say(step_text(step)),
    ) as endpoints:
        _announce(endpoints, as_json=as_json)
        with Watch(endpoints) as watch:
            while True:
                await watch.look()
                await asyncio.sleep(REFRESH_S)


def _heed_signals() -> None:
    """Let the first Ctrl-C or SIGTERM unwind everything; another one must not cut that short."""
    task = asyncio.current_task()
    assert task is not None

    def cancel_once() -> None:
        if not task.cancelling():
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, cancel_once)


def _announce(endpoints: Sequence[Endpoint], *, as_json: bool) -> None:
    if as_json:
        emit_json({endpoint.model: endpoint for endpoint in endpoints})
    else:
        for endpoint in endpoints:
            emit(f"{endpoint.model}  {endpoint.url}")
    flags = " ".join(_flags(endpoint) for endpoint in endpoints)
    say(f"all servers are ready. In another terminal:\n  python -m engine.run compare {flags}")
    say("Ctrl-C ends them.")


def _flags(endpoint: Endpoint) -> str:
    named = f"--endpoint {endpoint.model}={endpoint.url}"
    weights = endpoint.checkpoint
    return f"{named} --checkpoint {endpoint.model}={weights}" if weights else named
