"""Servers that are planned for the machine that is there, and started for the run."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.cli.console import say
from engine.cli.planning import DEFAULT_MODELS, Wanted, ask, find_models, names_of, planned
from engine.cli.serve_view import step_text
from engine.cli.serving import Serving, Weights
from engine.cli.serving.missing import bytes_to_fetch
from engine.cli.serving.turns import Turns
from engine.cli.weights import open_weights, snapshot
from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from engine.introspection.hub import parse_place
from engine.settings import read_key, read_settings
from servers.embedded.fetch import fetched
from servers.embedded.launcher import serve
from servers.embedded.model import EmbeddedModel
from servers.fit import LaunchPlan, ServerPlan
from servers.hardware import HardwareProfile
from servers.install import find_program
from servers.install.builds import BUILDS
from servers.launch.planned import starts_of
from servers.launch.process import free_port
from servers.launch.sleeping import Sleeper
from servers.launch.values import Progress, ServerStart
from servers.launcher import KEY_VARIABLE, launch
from servers.model import Method, ModelPreset
from servers.probe.memory import promised_bytes


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a plan starts: vLLM servers, and servers of llama.cpp."""

    starts: tuple[ServerStart, ...]
    embedded: tuple[ServerPlan, ...]
    inherited: Mapping[str, str]
    """The environment that servers of llama.cpp get, secrets left out; vLLM's have theirs."""

    def only(self, model: str) -> "Start":
        """Return what starts this model alone."""
        return Start(
            starts=tuple(each for each in self.starts if each.model == model),
            embedded=tuple(each for each in self.embedded if each.model == model),
            inherited=self.inherited,
        )


def launched(
    wanted: Wanted, hardware: HardwareProfile, vllm: Path | None, inherited: Mapping[str, str]
) -> Serving:
    """Return the serving of the `wanted` models, of the comparison pair when none is named.

    `inherited`: the environment that servers get, secrets left out.

    Raises:
        UsageError: a model is not known.
        NotReadyError: the models do not fit, or vLLM is not installed.
    """
    plan = planned(ask(wanted, runtime="vllm" if vllm else None))
    start = start_of(plan, vllm, inherited)
    presets = find_models(wanted.models, read_settings())

    turns = _turns(plan, start, [preset.key for preset in presets])
    servers = {server.model: server for server in plan.servers}

    @asynccontextmanager
    async def opened(log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        async with turns.open(log_dir) if turns else started(start, log_dir) as endpoints:
            found = {endpoint.model: endpoint for endpoint in endpoints}
            yield tuple(
                [await _with_preset(found[one.key], servers[one.key], one) for one in presets]
            )

    return Serving(
        kind="vllm" if start.starts else "embedded",
        reason=_reason(plan, start, hardware),
        models=tuple(preset.key for preset in presets),
        open=opened,
        promised_bytes=promised_bytes(plan),
        weights=_weights(wanted, presets, plan),
        schedule=plan.mode,
        turns=turns,
    )


def _reason(plan: LaunchPlan, start: Start, hardware: HardwareProfile) -> str:
    how = {"together": "", "sleep": ", one awake at a time", "serial": ", one after another"}
    why = f" {plan.notes[0]}" if plan.mode != "together" and plan.notes else ""
    return f"starting {_programs(start)} on {hardware.name}{how[plan.mode]}: {_what(plan)}.{why}"


def _weights(
    wanted: Wanted, presets: Sequence[ModelPreset], plan: LaunchPlan
) -> dict[str, Weights]:
    """Return by model which weights are served, and by what name they were asked for."""
    names = names_of(wanted.models, read_settings()) or DEFAULT_MODELS
    given = {preset.key: name for preset, name in zip(presets, names, strict=True)}
    return {
        server.model: Weights(
            name=_in_full(given[server.model]),
            repo=server.repo,
            quantization=server.quantization,
        )
        for server in plan.servers
    }


def _in_full(name: str) -> str:
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name


def _turns(plan: LaunchPlan, start: Start, models: Sequence[str]) -> Turns | None:
    """Return the servers of a plan in which the models take turns; None if all answer at once."""
    if plan.mode == "together":
        return None
    ports: dict[str, int] = {}

    @asynccontextmanager
    async def opener(model: str, log_dir: Path) -> AsyncGenerator[Endpoint]:
        port = ports.setdefault(model, free_port())
        async with started(start.only(model), log_dir, port=port) as (endpoint,):
            yield endpoint

    return Turns(models, opener, Sleeper(read_key(KEY_VARIABLE)) if plan.mode == "sleep" else None)


def start_of(plan: LaunchPlan, vllm: Path | None, inherited: Mapping[str, str]) -> Start:
    """Return what `plan` starts, with the vLLM program given or the one found.

    `inherited`: the environment that servers get, secrets left out.

    Raises:
        UsageError: `vllm` is no program.
        NotReadyError: vLLM is needed and not installed.
    """
    embedded = tuple(server for server in plan.servers if server.runtime == "llama.cpp")
    if len(embedded) == len(plan.servers):
        return Start(starts=(), embedded=embedded, inherited=inherited)
    program = find_program(
        BUILDS[plan.build],
        read_settings().cache_dir,
        given=vllm,
        search_path=inherited.get("PATH"),
    )
    key = read_key(KEY_VARIABLE)
    starts = starts_of(plan, program=program, inherited=inherited, api_key=key)
    return Start(starts=starts, embedded=embedded, inherited=inherited)


@asynccontextmanager
async def started(
    start: Start, log_dir: Path, *, port: int | None = None
) -> AsyncGenerator[tuple[Endpoint, ...]]:
    """Start all servers, yield where they answer, and end them.

    `port`: where a single server is to answer; None: a free one for each.

    Raises:
        NotReadyError: weights could not be fetched, or a server did not become ready.
    """
    async with AsyncExitStack() as stack:
        models = [await _fetched(server) for server in start.embedded]
        endpoints: tuple[Endpoint, ...] = ()
        if start.starts:
            state_dir = read_settings().cache_dir
            servers = launch(
                start.starts, log_dir=log_dir, state_dir=state_dir, tell=_tell, port=port
            )
            endpoints = await stack.enter_async_context(servers)
        if models:
            served = serve(
                models,
                log_dir=log_dir,
                on_death=lambda _model, words: say(words),
                port=port,
                inherited=start.inherited,
            )
            endpoints += await stack.enter_async_context(served)
        yield endpoints


async def _fetched(server: ServerPlan) -> EmbeddedModel:
    file = await fetched(server.repo, server.pattern, store=read_settings().gguf_store)
    return EmbeddedModel(
        key=server.model,
        directory=file.parent,
        file=file,
        window_tokens=server.max_model_len,
        n_slots=server.max_num_seqs,
        n_threads=server.n_threads,
    )


async def _with_preset(endpoint: Endpoint, server: ServerPlan, preset: ModelPreset) -> Endpoint:
    """Return `endpoint` with what is known of what it serves: roles, weights, precision."""
    checkpoint = endpoint.checkpoint or await _readable(server, preset)
    return msgspec.structs.replace(
        endpoint,
        has_system_role=preset.has_system_role,
        checkpoint=checkpoint,
        quantization=_made_by(server),
    )


async def _readable(server: ServerPlan, preset: ModelPreset) -> str | None:
    """Return where weights can be read that are those that the server serves, if anywhere."""
    if server.runtime == "llama.cpp":
        return await asyncio.to_thread(_made_of, preset)
    place = parse_place(server.repo)
    copy = snapshot(read_settings(), place) if place else None
    return str(copy) if copy else None


def _made_by(server: ServerPlan) -> str | None:
    """Return what the server serves in the place of the weights that introspection reads."""
    is_stored = server.method not in (Method.GGUF, Method.ONLINE_FP8)
    if is_stored or server.quantization == "fp16":
        return None
    return f"{server.method} {server.quantization.removesuffix('bit')}-bit"


def _made_of(preset: ModelPreset) -> str | None:
    """Return the checkpoint that a model's GGUF file was made of, if it can be read."""
    if not (Path(preset.repo).is_dir() or parse_place(preset.repo)):
        return None
    try:
        open_weights(preset.repo)
    except NotReadyError as error:
        say(f"{preset.key}: the weights that its GGUF file was made of cannot be read: {error}")
        return None
    return preset.repo


def _tell(step: Progress) -> None:
    say(step_text(step))


def _programs(start: Start) -> str:
    used = [("vLLM", start.starts), ("llama.cpp", start.embedded)]
    return " and ".join(name for name, servers in used if servers)


def _what(plan: LaunchPlan) -> str:
    return ", ".join(
        f"{server.model} {server.quantization} with {server.max_model_len} tokens{_from(server)}"
        for server in plan.servers
    )


def _from(server: ServerPlan) -> str:
    """Say what has to be fetched before a server of llama.cpp can start."""
    if server.runtime != "llama.cpp" or not server.pattern:
        return ""
    n_bytes = bytes_to_fetch(server, read_settings())
    to_fetch = f"{n_bytes / 1e9:.1f} GB to be fetched first"
    return f" ({server.repo}, {to_fetch if n_bytes else 'is here'})"
