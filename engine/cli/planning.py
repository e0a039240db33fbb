"""From flags to a launch plan: what `plan`, `serve` and the runs on local servers share."""

from collections.abc import Sequence
from typing import cast

from engine.errors import NotReadyError, UsageError
from engine.settings import Settings, child_environment
from servers.fit import LaunchPlan, Refusal, Request, fit
from servers.hardware import HardwareProfile, detect, get_profile, this_cpu
from servers.model import PRECISIONS, ModelPreset, Precision
from servers.presets import PRESETS, resolve

DEFAULT_MODELS = ("qwen2.5-3b", "qwen2.5-7b")
"""The pair of the comparison phase."""

_UNQUANTISED = ("none", "fp16", "16bit")


def find_models(names: str | None, settings: Settings) -> tuple[ModelPreset, ...]:
    """Turn a comma-separated list into presets: the flag, else AGI_MODEL_NAME, else the pair.

    Raises:
        UsageError: the list is empty, names a model twice, or one that is not known.
        NotReadyError: a hub id that cannot be looked up now.
    """
    given = names if names is not None else settings.model_name or ",".join(DEFAULT_MODELS)
    wanted = [name.strip() for name in given.split(",") if name.strip()]
    if not wanted:
        raise UsageError("--models: no model is named. Give one or several, e.g. qwen2.5-3b.")
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
        return detect(visible=child_environment().get("CUDA_VISIBLE_DEVICES"))
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
    return cast("Precision", asked)


def ask(
    presets: tuple[ModelPreset, ...],
    hardware: HardwareProfile,
    *,
    precision: Precision | None = None,
    context_tokens: int | None = None,
    has_fp8_kv: bool = False,
) -> LaunchPlan | Refusal:
    """Fit `presets` to `hardware`."""
    return fit(
        Request(
            presets=presets,
            hardware=hardware,
            precision=precision,
            context_tokens=context_tokens,
            has_fp8_kv=has_fp8_kv,
            catalogue=tuple(PRESETS.values()),
        )
    )


def planned(found: LaunchPlan | Refusal) -> LaunchPlan:
    """Return the plan, or raise what was refused with what would fit.

    Raises:
        NotReadyError: it is a refusal.
    """
    if isinstance(found, LaunchPlan):
        return found
    raise NotReadyError(f"{found.reason} {_would_fit(found)}")


def _would_fit(refusal: Refusal) -> str:
    if not refusal.offers:
        return "No model that is known here fits this machine."
    each = [f"{offer.text} ({_servers_text(offer.plans)})" for offer in refusal.offers]
    return f"What would fit: {'; '.join(each)}."


def _servers_text(plans: Sequence[LaunchPlan]) -> str:
    servers = [server for plan in plans for server in plan.servers]
    return ", ".join(
        f"{one.model} {one.quantization} with {one.max_model_len} tokens" for one in servers
    )


def _check_distinct(keys: Sequence[str]) -> None:
    twice = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if twice:
        raise UsageError(
            f"--models names {twice[0]!r} more than once. A server is called by its model, so every "
            "model can be served once; for more investigations at once raise --concurrency."
        )
