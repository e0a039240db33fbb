"""The fit itself: checks that need no arithmetic, then the ladder, then what would fit instead."""

from collections.abc import Iterator

import msgspec

from servers.fit.choice import Unavailable, choose, choose_near, usable_gpus
from servers.fit.in_turn import InTurn, in_turn
from servers.fit.ladder import Climb, climb
from servers.fit.offers import offers
from servers.fit.plans import servers_of, widen
from servers.fit.text import refusal_text
from servers.fit.values import Choice, LaunchPlan, Refusal, Request, ServerPlan
from servers.hardware import HardwareProfile, vllm_build


def fit(request: Request) -> LaunchPlan | Refusal:
    """Plan one server per model, all answering at once; or say why not, and what would fit.

    Deterministic and fast: a few milliseconds. A plan never goes over the memory of a card, and
    with more memory no model gets a shorter context.
    """
    found = fit_together(request)
    if isinstance(found, LaunchPlan):
        return found
    return Refusal(
        reason=found.reason,
        hardware=found.hardware,
        steps=found.steps,
        offers=offers(request, fit_together),
    )


def fit_in_turn(request: Request, kind: InTurn) -> LaunchPlan | None:
    """Plan models that take turns; None where not even that holds.

    Each may get a longer context than beside the others.
    """
    return in_turn(request, kind, fit_together)


def fit_together(request: Request) -> LaunchPlan | Refusal:
    """Like `fit`, but a refusal makes no offers.

    Weights and number formats suit the weakest card, so the newer cards are tried by themselves
    too: the plan that gives up least counts, of those the one with most investigations, and else
    that of the newest cards.
    """
    found = [_fit_on(hardware, request) for hardware in _without_older(request.hardware)]
    plans = [one for one in found if isinstance(one, LaunchPlan)]
    return min(reversed(plans), key=_given_up) if plans else found[0]


def _without_older(hardware: HardwareProfile) -> Iterator[HardwareProfile]:
    """Yield the machine, then without its oldest generation of usable GPUs, and so on."""
    yield hardware
    for oldest in sorted({gpu.capability for gpu in usable_gpus(hardware)})[1:]:
        gpus = tuple(gpu for gpu in hardware.gpus if gpu.capability >= oldest)
        yield msgspec.structs.replace(hardware, gpus=gpus)


def _given_up(plan: LaunchPlan) -> tuple[int, int]:
    return len(plan.steps), -min(server.n_investigations for server in plan.servers)


def _fit_on(hardware: HardwareProfile, asked: Request) -> LaunchPlan | Refusal:
    """Fit on some of the cards that the request is for."""
    request = msgspec.structs.replace(asked, hardware=hardware)
    reason = _blocked(request)
    if reason:
        return Refusal(reason=reason, hardware=asked.hardware)
    choices = _choices(request)
    if isinstance(choices, Unavailable):
        return Refusal(reason=choices.reason, hardware=asked.hardware)
    found = climb(choices, request)
    if found.settled is None:
        reason = refusal_text(found.steps[-1])
        return Refusal(reason=reason, hardware=asked.hardware, steps=found.steps)
    return _plan(found, asked)


def _plan(found: Climb, request: Request) -> LaunchPlan:
    assert found.settled
    settled = widen(found.settled, request)
    servers = servers_of(settled, request)
    build = vllm_build(request.hardware)
    assert build, "an old driver is refused before"
    return LaunchPlan(
        hardware=request.hardware,
        build=build,
        servers=servers,
        cards=settled.sums,
        steps=found.steps,
        notes=(*_hardware_notes(request.hardware), *_fairness_notes(servers)),
    )


def _choices(request: Request) -> tuple[Choice, ...] | Unavailable:
    chosen: list[Choice] = []
    for preset in request.presets:
        if request.precision:
            one = choose(preset, request.precision, request)
        else:
            one = choose_near(preset, request.hardware.precision, request)
        if isinstance(one, Unavailable):
            return one
        chosen.append(one)
    return tuple(chosen)


def _blocked(request: Request) -> str | None:
    """Name what no arithmetic can help with."""
    return _too_old(request) or _no_fp8_kv(request) or _too_long(request)


def _too_old(request: Request) -> str | None:
    hardware = request.hardware
    if hardware.gpus and not usable_gpus(hardware):
        gpu = hardware.gpus[0]
        capability = ".".join(map(str, gpu.capability))
        return (
            f"{gpu.name} has compute capability {capability}; vLLM has code for 7.5 (T4) and "
            "newer. Use another GPU, an endpoint elsewhere (--endpoint), or --hardware cpu."
        )
    if vllm_build(hardware) is None:
        return (
            f"the NVIDIA driver {hardware.driver_text} is too old for every build of vLLM: 580 or "
            "newer runs the CUDA 13 build, 525 or newer the CUDA 12 build. Update the driver, or "
            "use --hardware cpu."
        )
    return None


def _no_fp8_kv(request: Request) -> str | None:
    gpus = usable_gpus(request.hardware)
    lacking = [gpu.name for gpu in gpus if not gpu.has_native_fp8]
    if not request.has_fp8_kv or (gpus and not lacking):
        return None
    where = lacking[0] if lacking else "a machine without an NVIDIA GPU"
    return (
        "an 8-bit floating-point KV cache needs a GPU of compute capability 8.9 or newer (L4, "
        f"RTX 40, H100), which {where} is not. Leave --kv-cache fp8 out."
    )


def _too_long(request: Request) -> str | None:
    for preset in request.presets:
        native = preset.architecture.context_tokens
        if request.context_tokens and request.context_tokens > native:
            return (
                f"--context {request.context_tokens}: {preset.key} supports {native} tokens "
                "without a change of its rope. Ask for that or less."
            )
    return None


def _fairness_notes(servers: tuple[ServerPlan, ...]) -> tuple[str, ...]:
    if len({(one.quantization, one.runtime) for one in servers}) < 2:  # noqa: PLR2004 - differ
        return ()
    return ("the models run at different precision or in different servers: a comparison sees it",)


def _hardware_notes(hardware: HardwareProfile) -> tuple[str, ...]:
    notes: list[str] = []
    if vllm_build(hardware) == "cu12":
        notes.append(
            f"driver {hardware.driver_text} runs CUDA 12 only: vLLM's PyPI wheel would not start, "
            "`install vllm --build cu12` makes one that does"
        )
    unused = [gpu.name for gpu in hardware.gpus if gpu not in usable_gpus(hardware)]
    notes += [f"{name} is left out: vLLM has no code for it" for name in unused]
    return tuple(notes)
