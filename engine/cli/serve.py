"""`serve`: start servers and keep them: until Ctrl-C, or in the background until stopped."""

import asyncio
import signal
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from engine.cli.console import emit, emit_json, emit_table, say
from engine.cli.planning import Wanted, flags_of, names_of
from engine.cli.serve_view import Watch, status_table, status_values
from engine.cli.serving import Serving
from engine.cli.serving.choice import already_kept, started_for
from engine.cli.serving.detached import kept_servings, made_log_dir, start_detached, stop
from engine.cli.serving.running import kept_dir
from engine.endpoint import Endpoint
from engine.errors import UsageError
from engine.settings import Settings, read_settings
from servers.kept import KeptModel, kept_here, remove_kept, write_kept

REFRESH_S = 2.0


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Manner:
    """What is done with the servers."""

    detach: Annotated[bool, Parameter(negative="")] = False
    """Start them in the background, and return when they are ready. They outlive the terminal."""
    status: Annotated[bool, Parameter(negative="")] = False
    """Show the servers that run, whoever started them. Starts nothing."""
    stop: Annotated[bool, Parameter(negative="")] = False
    """End the servers that run: all of them, or those of --models."""
    background: Annotated[bool, Parameter(negative="", show=False)] = False
    """This is the process that --detach starts."""


def serve(
    *,
    wanted: Wanted | None = None,
    manner: Manner | None = None,
    vllm: Path | None = None,
    logs: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Path | None = None,
) -> None:
    """Start the servers of a plan, keep them alive, and end them at Ctrl-C.

    Without a GPU and without --models: the tiny models that ship with the project.

    Parameters
    ----------
    vllm
        Program to start in place of a vllm on PATH or the one that `install vllm` made.
    logs
        Directory for the servers' logs. Default: logs in the cache directory.
    as_json
        Print the endpoints as JSON, by model, once all are ready; or the status.
    config
        TOML file with values for these flags; those of one command alone in a table of its name.
    """
    del config  # the application reads it before it reads the flags
    wanted, manner = wanted or Wanted(), manner or Manner()
    if manner.detach + manner.status + manner.stop > 1:
        raise UsageError("--detach, --status and --stop: give one of them.")
    if manner.status:
        show_status(as_json=as_json)
    elif manner.stop:
        stop_servers(names_of(wanted.models, Settings()))
    elif vllm is None and (kept := already_kept(wanted)):
        say("these are served already: `serve --status` shows them, `serve --stop` ends them.")
        _announce([model.endpoint for _, model in kept], as_json=as_json)
    elif manner.detach:
        _detach(wanted, vllm, logs, as_json=as_json)
    else:
        log_dir = made_log_dir(logs, read_settings().cache_dir / "logs")
        serving = started_for(replace(wanted, alternate="never"), vllm=vllm)
        _keep_until_interrupted(serving, log_dir, manner, as_json=as_json)


def show_status(*, as_json: bool) -> None:
    """Show every server that a `serve` keeps."""
    found = kept_servings()
    if as_json:
        emit_json({"servers": [row for kept in found for row in status_values(kept)]})
    elif found:
        emit_table(status_table(found))
    else:
        say("no server runs. `serve --detach` starts some.")


def stop_servers(names: Sequence[str]) -> None:
    """End the servers that run; with names, those that serve one of them.

    Raises:
        UsageError: a name is none that is served.
    """
    found = kept_servings()
    served = [name for kept in found for name in kept.names]
    for name in names:
        if name not in served:
            raise UsageError(
                f"--models {name!r}: no server runs for it. There are: {', '.join(served) or '-'}."
            )
    chosen = [kept for kept in found if not names or set(names) & set(kept.names)]
    for kept in chosen:
        stop(kept)
        say(f"stopped: {', '.join(kept.names)} (process {kept.pid}); every server has ended.")
    if not chosen:
        say("no server runs.")


def _detach(wanted: Wanted, vllm: Path | None, logs: Path | None, *, as_json: bool) -> None:
    flags = (*flags_of(wanted), *(("--vllm", str(vllm)) if vllm else ()))
    kept = start_detached(flags, tell=say, log_dir=logs)
    _print([model.endpoint for model in kept.served], as_json=as_json)
    say(
        f"all servers are ready, and go on without this terminal (process {kept.pid}, "
        f"logs in {kept.log_dir}). `serve --status` shows them, `serve --stop` ends them."
    )


def _keep_until_interrupted(
    serving: Serving, log_dir: Path, manner: Manner, *, as_json: bool
) -> None:
    say(serving.reason)
    try:
        asyncio.run(_keep(serving, log_dir, manner, as_json=as_json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped: every server has ended.")


async def _keep(serving: Serving, log_dir: Path, manner: Manner, *, as_json: bool) -> None:
    _heed_signals()
    with _registered(serving, log_dir) as register:
        async with serving.open(log_dir) as endpoints:
            register(endpoints)
            if not manner.background:
                _announce(endpoints, as_json=as_json)
                say("Ctrl-C ends them.")
            with Watch(endpoints) as watch:
                while True:
                    await watch.look()
                    await asyncio.sleep(REFRESH_S)


@contextmanager
def _registered(serving: Serving, log_dir: Path) -> Generator[Callable[[Iterable[Endpoint]], None]]:
    """Let others see this process; yield what tells them that its servers are ready."""
    kind = "vllm" if serving.kind == "vllm" else "embedded"
    here = kept_here(kind, serving.models, log_dir)

    def register(endpoints: Iterable[Endpoint]) -> None:
        served = tuple(_kept_model(serving, endpoint) for endpoint in endpoints)
        write_kept(kept_dir(), msgspec.structs.replace(here, served=served))

    write_kept(kept_dir(), here)
    try:
        yield register
    finally:
        remove_kept(kept_dir(), here.pid)


def _kept_model(serving: Serving, endpoint: Endpoint) -> KeptModel:
    weights = serving.weights[endpoint.model]
    return KeptModel(
        endpoint=endpoint,
        name=weights.name,
        repo=weights.repo,
        quantization=weights.quantization,
    )


def _heed_signals() -> None:
    """Let the first Ctrl-C, SIGTERM or SIGHUP unwind everything, and no other cut that short."""
    task = asyncio.current_task()
    assert task is not None

    def cancel_once() -> None:
        if not task.cancelling():
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, cancel_once)


def _announce(endpoints: Sequence[Endpoint], *, as_json: bool) -> None:
    _print(endpoints, as_json=as_json)
    models = ",".join(endpoint.model for endpoint in endpoints)
    verb = "compare --models" if len(endpoints) > 1 else "run comparison --model"
    flags = " ".join(f"--endpoint {one.model}={one.url}" for one in endpoints)
    say(
        f"all servers are ready. In another terminal:\n  python -m engine.run {verb} {models}\n"
        f"finds them by itself; for other programs: {flags}"
    )


def _print(endpoints: Sequence[Endpoint], *, as_json: bool) -> None:
    if as_json:
        emit_json({endpoint.model: endpoint for endpoint in endpoints})
    else:
        for endpoint in endpoints:
            emit(f"{endpoint.model}  {endpoint.url}")
