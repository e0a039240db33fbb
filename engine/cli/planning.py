"""From flags to a launch plan: what `plan`, `serve` and the runs on local servers share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from engine.cli.counts import Whole
from engine.errors import NotReadyError, UsageError
from engine.settings import Settings, child_environment, read_settings
from servers.fit import InTurn, LaunchPlan, Refusal, Request, fit, fit_in_turn
from servers.fit.values import Runtime
from servers.hardware import HardwareProfile, detect, get_profile, this_cpu
from servers.launch.measured import for_plan, read_starts
from servers.model import PRECISIONS, ModelPreset, Precision
from servers.presets import PRESETS, resolve

DEFAULT_MODELS = ("qwen2.5-3b", "qwen2.5-7b")
"""The pair of the comparison phase."""

Alternate = Literal["auto", "never", "sleep", "serial"]
_IN_TURN: tuple[InTurn, ...] = ("sleep", "serial")

_UNQUANTISED = ("none", "fp16", "16bit")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be served, and on what."""

    models: Annotated[str | None, Parameter(name=["--models", "--model"])] = None
    """Presets, hub ids, directories, .gguf or .toml files, separated by commas. Default:
    AGI_MODEL_NAME, else the comparison pair."""
    hardware: str | None = None
    """Profile to plan for (`hardware` lists them) in place of this machine."""
    quantization: Precision | None = None
    """Precision of all models. Default: AGI_QUANTIZATION, else the best that fits."""
    context: Annotated[int | None, Whole, Parameter(validator=Number(gte=256))] = None
    """Context window in tokens, kept or refused. Default: up to 32768, less where it must be."""
    kv_cache: Literal["auto", "fp8"] = "auto"
    """fp8 halves the KV cache on GPUs that can (L4, RTX 40, H100)."""
    alternate: Alternate = "auto"
    """Models that take turns: one awake while the others sleep in RAM (sleep), or one started
    after the other has ended (serial). auto: only where they do not fit together."""


def flags_of(wanted: Wanted) -> tuple[str, ...]:
    """Return the flags that say what is wanted."""
    given = {
        "--models": wanted.models,
        "--hardware": wanted.hardware,
        "--quantization": wanted.quantization,
        "--context": wanted.context,
        "--kv-cache": wanted.kv_cache,
        "--alternate": wanted.alternate,
    }
    return tuple(word for flag, value in given.items() if value for word in (flag, str(value)))


def ask(wanted: Wanted, *, runtime: Runtime | None = None) -> LaunchPlan | Refusal:
    """Fit what is wanted to the machine.

    `runtime`: which servers; None: vLLM on GPUs, elsewhere llama.cpp for models that it can serve.

    Raises:
        UsageError: a model or profile that is not known.
        NotReadyError: a hub id that cannot be looked up now, or a driver that does not answer.
    """
    request = _request(wanted, runtime)
    if wanted.alternate in _IN_TURN:
        return fit_in_turn(request, wanted.alternate) or _no_turns(request, wanted.alternate)
    found = fit(request)
    return _taking_turns(found) if wanted.alternate == "auto" else found


def _request(wanted: Wanted, runtime: Runtime | None) -> Request:
    settings = read_settings()
    return Request(
        presets=find_models(wanted.models, settings),
        hardware=find_hardware(wanted.hardware),
        precision=find_precision(wanted.quantization, settings),
        context_tokens=wanted.context,
        has_fp8_kv=wanted.kv_cache == "fp8",
        catalogue=tuple(PRESETS.values()),
        runtime=runtime,
        measured=for_plan(read_starts(settings.cache_dir / "starts.jsonl")),
    )


def _taking_turns(found: LaunchPlan | Refusal) -> LaunchPlan | Refusal:
    """Go on where the fit of models together ends: let them take turns, and say so."""
    if isinstance(found, LaunchPlan):
        return found
    plan = next((offer.plan for offer in found.offers if offer.kind in _IN_TURN), None)
    if plan is None:
        return found
    note = f"the models take turns, because {found.reason}"
    return msgspec.structs.replace(
        plan, steps=(*found.steps, *plan.steps), notes=(note, *plan.notes)
    )


def _no_turns(request: Request, kind: InTurn) -> Refusal:
    """Say why models cannot take turns in the way that was asked for."""
    found = fit(request)
    if len(request.presets) < 2:  # noqa: PLR2004 - one model has nobody to take turns with
        reason = f"--alternate {kind}: one model has nobody to take turns with."
    elif kind == "sleep":
        reason = (
            "--alternate sleep: needs one NVIDIA GPU that holds each of the models, and free RAM "
            "for the weights of all of them. Use --alternate serial."
        )
    else:
        reason = "--alternate serial: not even one after another do all of them fit."
    offers = found.offers if isinstance(found, Refusal) else ()
    return Refusal(reason=reason, hardware=request.hardware, offers=offers)


def planned(found: LaunchPlan | Refusal) -> LaunchPlan:
    """Return the plan, or raise what was refused with what would fit.

    Raises:
        NotReadyError: it is a refusal.
    """
    if isinstance(found, LaunchPlan):
        return found
    raise NotReadyError(f"{found.reason.rstrip('.')}. {_would_fit(found)}".rstrip())


def _would_fit(refusal: Refusal) -> str:
    if not refusal.offers:
        return (
            ""
            if refusal.reason.startswith("--alternate")
            else "No model that is known here fits this machine."
        )
    each = [f"{offer.text} ({_servers_text(offer.plan)})" for offer in refusal.offers]
    return f"What would fit: {'; '.join(each)}."


def _servers_text(plan: LaunchPlan) -> str:
    return ", ".join(
        f"{one.model} {one.quantization} with {one.max_model_len} tokens" for one in plan.servers
    )


def _check_distinct(keys: Sequence[str]) -> None:
    twice = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if twice:
        raise UsageError(
            f"--models names {twice[0]!r} more than once. A server is called by its model, so "
            "each is served once; for more investigations at once raise --concurrency."
        )


def names_of(given: str | None, settings: Settings) -> tuple[str, ...]:
    """Split a comma-separated list of models: the flag's, else AGI_MODEL_NAME's; else nothing.

    Raises:
        UsageError: the flag is given, and names nothing.
    """
    text = given if given is not None else settings.model_name or ""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if given is not None and not names:
        raise UsageError("--models: no model is named. Give one or several, e.g. qwen2.5-3b.")
    return names


def find_models(names: str | None, settings: Settings) -> tuple[ModelPreset, ...]:
    """Turn a comma-separated list into presets: the flag, else AGI_MODEL_NAME, else the pair.

    Raises:
        UsageError: the list is empty, names a model twice, or one that is not known.
        NotReadyError: a hub id that cannot be looked up now.
    """
    wanted = names_of(names, settings) or DEFAULT_MODELS
    presets = tuple(resolve(name) for name in wanted)
    _check_distinct([preset.key for preset in presets])
    return presets


def find_hardware(name: str | None) -> HardwareProfile:
    """Return the profile called `name`; without a name, look at this machine.

    "cpu" means this machine without its GPUs.

    Raises:
        UsageError: there is no such profile.
        NotReadyError: the driver does not answer.
    """
    if name is None:
        environment = child_environment()
        return detect(
            visible=environment.get("CUDA_VISIBLE_DEVICES"),
            order=environment.get("CUDA_DEVICE_ORDER"),
        )
    return this_cpu() if name == "cpu" else get_profile(name)


def find_precision(flag: Precision | None, settings: Settings) -> Precision | None:
    """Return the precision that was asked for: by flag, else by AGI_QUANTIZATION, else None.

    Raises:
        UsageError: the variable holds something else.
    """
    asked = (settings.quantization or "").lower()
    if flag or not asked:
        return flag
    if asked in _UNQUANTISED:
        return "fp16"
    if asked not in PRECISIONS:
        raise UsageError(
            f"AGI_QUANTIZATION is {settings.quantization!r}; it may be 4bit, 8bit, fp16 or none."
        )
    return asked
