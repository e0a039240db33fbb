"""Which way of serving is the best that is there."""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from engine.cli.options import Options
from engine.cli.planning import DEFAULT_MODELS, Wanted, find_hardware, find_precision, names_of
from engine.cli.serving import Serving, checkpoints_of
from engine.cli.serving.embedded import TINY_KEYS, embedded
from engine.cli.serving.given import endpoints_of, given, variables_of
from engine.cli.serving.launched import launched
from engine.cli.serving.mixed import mixed
from engine.cli.serving.running import find_kept, kept_serving
from engine.endpoint import Endpoint
from engine.errors import NotReadyError, UsageError
from engine.settings import Settings, child_environment, read_settings
from servers.command import FOR_THE_HUB
from servers.kept import Kept, KeptModel
from servers.model import Precision
from servers.presets import find_preset


def choose(options: Options, wanted: Sequence[str], recorded: Iterable[Endpoint] = ()) -> Serving:
    """Return how the `wanted` models are served; all that there are when none is named.

    Endpoints that are given come first, then what this machine has.
    `recorded`: the endpoints that were given to a run that is taken up again.

    Raises:
        UsageError: an endpoint or a model name is wrong; the remedy is named.
        NotReadyError: the models do not fit this machine, or what serves them is not there.
    """
    return _at_its_precision(_chosen(options, wanted, recorded), options.quantization)


def _at_its_precision(serving: Serving, flag: Precision | None) -> Serving:
    """Say it where a precision is asked for that nobody here can choose.

    Raises:
        UsageError: AGI_QUANTIZATION is no precision.
    """
    asked = find_precision(flag, read_settings())
    is_chosen = any(each.quantization for each in serving.weights.values())
    is_so_anyway = serving.kind == "embedded" and asked == "fp16"
    if asked is None or is_chosen or is_so_anyway:
        return serving
    word = f"The precision {asked} that is asked for changes nothing: they are served as they are."
    return replace(serving, reason=f"{serving.reason} {word}")


def _chosen(options: Options, wanted: Sequence[str], recorded: Iterable[Endpoint]) -> Serving:
    recorded = tuple(recorded)
    endpoints = endpoints_of(replace(options, checkpoint=()), recorded)
    if not endpoints:
        return _here(options, wanted, checkpoint=options.checkpoint)
    there = [endpoint.model for endpoint in endpoints]
    here = [name for name in wanted if name not in there and _is_local(name)]
    if not here:
        return given(endpoints_of(options, recorded), wanted)
    asked = [name for name in wanted if name not in here]
    if not asked:
        return _instead_of(endpoints, options, here)
    at_once = replace(options, alternate="never")  # an arm elsewhere has no turn to wait for
    served = _here(at_once, here, private=variables_of(endpoints))
    own = [text for text in options.checkpoint if text.partition("=")[0] in served.models]
    others = tuple(text for text in options.checkpoint if text not in own)
    weighed = endpoints_of(replace(options, checkpoint=others), recorded)
    return mixed(given(weighed, asked), _with_checkpoints(served, own), wanted)


def _instead_of(endpoints: Sequence[Endpoint], options: Options, here: Sequence[str]) -> Serving:
    """Return how the models of this machine are served where no endpoint is asked for.

    Raises:
        UsageError: an endpoint is given by a flag: it is not there to be passed over.
    """
    if options.endpoint:
        return given(endpoints, here)
    return _here(options, here, options.checkpoint, private=variables_of(endpoints))


def _is_local(name: str) -> bool:
    return name in TINY_KEYS or find_preset(name) is not None or "/" in name


def _here(
    options: Options,
    names: Sequence[str],
    checkpoint: Sequence[str] = (),
    *,
    private: Collection[str] = (),
) -> Serving:
    wanted = Wanted(
        models=",".join(names) or None,
        hardware=options.hardware,
        quantization=options.quantization,
        alternate=options.alternate,
    )
    serving = _on_this_machine(wanted, options.vllm, private)
    return _with_checkpoints(serving, checkpoint)


def _on_this_machine(wanted: Wanted, vllm: Path | None, private: Collection[str]) -> Serving:
    """Return how models are served here: by servers that `serve` keeps, or by new ones.

    Without a name, all that there are: one that AGI_MODEL_NAME names is not enough for that.
    `private`: variables that servers do not get.

    Raises:
        UsageError: a model or a profile is not known.
        NotReadyError: the models do not fit this machine, or what serves them is not there.
    """
    names = names_of(wanted.models, Settings())
    kept = _kept(wanted, names) if vllm is None else ()
    return kept_serving(kept) if kept else _started(wanted, names, vllm, private)


def already_kept(wanted: Wanted) -> tuple[tuple[Kept, KeptModel], ...]:
    """Return who keeps all that is wanted; nothing if anything is missing.

    A plan for other hardware, or with turns, is a wish for servers of its own.
    """
    return _kept(wanted, names_of(wanted.models, read_settings()))


def _kept(wanted: Wanted, names: tuple[str, ...]) -> tuple[tuple[Kept, KeptModel], ...]:
    if wanted.hardware is not None or wanted.alternate in {"sleep", "serial"}:
        return ()
    precision = find_precision(wanted.quantization, read_settings())
    asked = [names] if names else [DEFAULT_MODELS, TINY_KEYS]
    return next((found for each in asked if (found := find_kept(each, precision))), ())


def started_for(wanted: Wanted, *, vllm: Path | None = None) -> Serving:
    """Return the serving by new servers: vLLM on a GPU, else llama.cpp.

    Raises:
        UsageError: a model or a profile is not known.
        NotReadyError: the models do not fit this machine, or what serves them is not there.
    """
    return _started(wanted, names_of(wanted.models, read_settings()), vllm)


def _started(
    wanted: Wanted, names: tuple[str, ...], vllm: Path | None, private: Collection[str] = ()
) -> Serving:
    hidden = set(private) - set(FOR_THE_HUB)
    inherited = {name: value for name, value in child_environment().items() if name not in hidden}
    if names and set(names) <= set(TINY_KEYS):
        return _shipped(wanted, names, "they ship with the project", inherited)
    try:
        hardware = find_hardware(wanted.hardware)
        if not names and not hardware.gpus and vllm is None:
            return _shipped(
                wanted, (), "no --endpoint is given and there is no NVIDIA GPU", inherited
            )
        named = replace(wanted, models=",".join(names or DEFAULT_MODELS))
        return launched(named, hardware, vllm, inherited)
    except NotReadyError as error:
        if names or wanted.hardware or vllm:
            raise
        why = f"there is a GPU, but it cannot be used yet: {error}"
        return _shipped(wanted, (), why, inherited)


def _shipped(
    wanted: Wanted, names: Sequence[str], why: str, inherited: Mapping[str, str]
) -> Serving:
    """Return the serving of the models that ship.

    Raises:
        UsageError: a context window is asked for.
    """
    if wanted.context is not None:
        raise UsageError(
            f"--context {wanted.context}: {', '.join(names or TINY_KEYS)}: a model that ships "
            "keeps the window that it was trained with. Leave it out, or name another model."
        )
    return embedded(names, why=why, inherited=inherited)


def _with_checkpoints(serving: Serving, named: Sequence[str]) -> Serving:
    """Let `--checkpoint` name the weights of models that are served here."""
    folders = checkpoints_of(named, serving.models)

    @asynccontextmanager
    async def opened(log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        async with serving.open(log_dir) as endpoints:
            yield tuple(_weighed(each, folders.get(each.model)) for each in endpoints)

    return replace(serving, open=opened) if folders else serving


def _weighed(endpoint: Endpoint, folder: str | None) -> Endpoint:
    return msgspec.structs.replace(endpoint, checkpoint=folder) if folder else endpoint
