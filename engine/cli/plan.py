"""`plan`: which servers a set of models needs here, and where the memory goes. Starts nothing."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from engine.cli.console import emit, emit_json, emit_table
from engine.cli.options import Quantization
from engine.cli.plan_view import as_values, memory_table, server_table, text_of
from engine.cli.planning import ask, find_hardware, find_models, find_precision, planned
from engine.settings import read_settings
from servers.fit import LaunchPlan, Refusal


def plan(
    *,
    models: Annotated[str | None, Parameter(name=["--models", "--model"])] = None,
    hardware: str | None = None,
    quantization: Quantization | None = None,
    context: Annotated[int | None, Parameter(validator=Number(gte=256))] = None,
    kv_cache: Literal["auto", "fp8"] = "auto",
    alternate: Literal["sleep", "serial"] | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Path | None = None,
) -> None:
    """Fit models to the GPUs that are there and show the servers that would be started.

    Parameters
    ----------
    models
        Presets, hub ids, directories or .toml files, separated by commas. Default: the comparison
        pair.
    hardware
        Profile to plan for (`hardware` lists them) in place of this machine.
    quantization
        Precision of all models. Default: the best that fits.
    context
        Context window in tokens, kept or refused. Default: up to 32768, less where it must be.
    kv_cache
        fp8 halves the KV cache on GPUs that can (L4, RTX 40, H100).
    alternate
        Where the models do not fit together: one awake at a time, or one after another.
    as_json
        Print the plan as JSON.
    config
        TOML file with values for these flags.
    """
    del config  # read by the application before the flags are
    settings = read_settings()
    found = ask(
        find_models(models, settings),
        find_hardware(hardware),
        precision=find_precision(quantization, settings),
        context_tokens=context,
        has_fp8_kv=kv_cache == "fp8",
    )
    plans = _in_turn(found, alternate) or (planned(found),)
    if as_json:
        emit_json(as_values(plans))
        return
    emit_table(server_table(plans))
    emit("")
    emit_table(memory_table(plans))
    emit(text_of(plans))


def _in_turn(found: LaunchPlan | Refusal, alternate: str | None) -> tuple[LaunchPlan, ...]:
    if alternate is None or isinstance(found, LaunchPlan):
        return ()
    return next((offer.plans for offer in found.offers if offer.kind == alternate), ())
