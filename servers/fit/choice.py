"""Which weights of a model a machine can compute with, and in which number format. Pure.

Source: serving-gpu.md section 2 (hardware x kernel table, vLLM 0.33) and facts 3 to 5; for vLLM's
CPU build serving-cpu.md section 3 (4-bit AWQ and GPTQ were seen to load and answer).
"""

from collections.abc import Iterator

import msgspec

from servers.fit.values import Choice, Dtype, Request, Runtime
from servers.hardware import Gpu, HardwareProfile
from servers.hardware.values import OLDEST_CAPABILITY
from servers.model import PRECISIONS, Method, ModelPreset, Precision, Variant
from servers.weights import kv_bytes_per_token, weights_bytes

_FP8 = (Method.FP8, Method.ONLINE_FP8)
_BLACKWELL = (10, 0)
_CPU_HEAD_DIMS = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)
"""Source: serving-cpu.md section 1, "Gotchas"."""
_WIDTH: dict[Dtype, int] = {"half": 2, "bfloat16": 2, "float32": 4}


class Unavailable(msgspec.Struct, frozen=True):
    """Why a model cannot be had at a precision on a machine."""

    reason: str


def usable_gpus(hardware: HardwareProfile) -> tuple[Gpu, ...]:
    """GPUs that vLLM has code for."""
    return tuple(gpu for gpu in hardware.gpus if gpu.capability >= OLDEST_CAPABILITY)


def choose(preset: ModelPreset, precision: Precision, request: Request) -> Choice | Unavailable:
    """Pick the weights of `preset` at `precision` that suit the machine best."""
    gpu = min(usable_gpus(request.hardware), key=lambda one: one.capability, default=None)
    runtime = request.runtime or _usual_runtime(preset, gpu)
    offered = [one for one in preset.variants if one.precision == precision]
    fitting = [one for one in offered if (one.method is Method.GGUF) == (runtime == "llama.cpp")]
    if not fitting:
        return Unavailable(_nothing_offered(preset, precision, runtime))
    refusals: list[str] = []
    for variant in sorted(fitting, key=lambda one: _is_second_best(one, gpu)):
        refusal = _refusal(preset, variant, gpu) if runtime == "vllm" else None
        if refusal is None:
            return _choice(preset, variant, request, gpu=gpu, runtime=runtime)
        refusals.append(refusal)
    return Unavailable(refusals[0])


def _nothing_offered(preset: ModelPreset, precision: Precision, runtime: Runtime) -> str:
    if runtime == "vllm" and all(one.method is Method.GGUF for one in preset.variants):
        return (
            f"{preset.key} is a GGUF file, which vLLM does not read. Serve it by llama.cpp with "
            "--hardware cpu, or name its checkpoint in Hugging Face's format"
        )
    return f"{preset.key} has no {precision} weights for {runtime}"


def choose_near(
    preset: ModelPreset, precision: Precision, request: Request
) -> Choice | Unavailable:
    """Like `choose`, but go on to coarser, then to finer precisions if there is nothing."""
    first = choose(preset, precision, request)
    if isinstance(first, Choice):
        return first
    for other in _outward(precision):
        found = choose(preset, other, request)
        if isinstance(found, Choice):
            note = f"{other} in place of {precision}: {first.reason}"
            return msgspec.structs.replace(found, notes=(note, *found.notes))
    return first


def coarser(choice: Choice, request: Request) -> Choice | None:
    """The next coarser weights of the same model that are really smaller; None: no such."""
    start = PRECISIONS.index(choice.variant.precision) + 1
    for precision in PRECISIONS[start:]:
        found = choose(choice.preset, precision, request)
        if isinstance(found, Choice) and found.weights_bytes < choice.weights_bytes:
            return found
    return None


def _outward(precision: Precision) -> Iterator[Precision]:
    at = PRECISIONS.index(precision)
    yield from PRECISIONS[at + 1 :]
    yield from reversed(PRECISIONS[:at])


def _usual_runtime(preset: ModelPreset, gpu: Gpu | None) -> Runtime:
    has_gguf = any(one.method is Method.GGUF for one in preset.variants)
    return "llama.cpp" if gpu is None and has_gguf else "vllm"


def _is_second_best(variant: Variant, gpu: Gpu | None) -> bool:
    """Without hardware for them 8-bit floats only store weights: integers are better."""
    return variant.method in _FP8 and not (gpu and gpu.has_native_fp8)


def _refusal(preset: ModelPreset, variant: Variant, gpu: Gpu | None) -> str | None:
    if gpu is None:
        return _cpu_refusal(preset, variant)
    if preset.needs_wide_dtype and not gpu.has_bf16 and variant.method is not Method.PLAIN:
        return (
            f"vLLM refuses {preset.key} in float16 (numerical instability), {gpu.name} has no "
            f"bfloat16, and {variant.method} weights need one of the two: only unquantised "
            "float32 is left there"
        )
    if variant.method is Method.W8A8 and gpu.capability >= _BLACKWELL:
        return f"W8A8 integers are not dependable on {gpu.name}"
    return None


def _cpu_refusal(preset: ModelPreset, variant: Variant) -> str | None:
    head_dim = preset.architecture.head_dim
    if head_dim not in _CPU_HEAD_DIMS:
        return (
            f"vLLM's CPU build dies at the first request to {preset.key}: its attention has no "
            f"code for heads of {head_dim} numbers"
        )
    is_4bit = variant.precision == "4bit" and variant.method in (Method.AWQ, Method.GPTQ)
    if variant.method is Method.PLAIN or is_4bit:
        return None
    return f"vLLM's CPU build is not known to serve {variant.method} weights ({variant.repo})"


def _choice(
    preset: ModelPreset, variant: Variant, request: Request, *, gpu: Gpu | None, runtime: Runtime
) -> Choice:
    dtype = _dtype(preset, gpu, runtime)
    width = _WIDTH[dtype]
    kv_width = 1 if request.has_fp8_kv else width
    return Choice(
        preset=preset,
        variant=variant,
        dtype=dtype,
        runtime=runtime,
        weights_bytes=weights_bytes(preset, variant, plain_width=width),
        kv_bytes_per_token=kv_bytes_per_token(preset.architecture, width=kv_width),
        has_fp8_kv=request.has_fp8_kv,
        notes=_notes(preset, variant, gpu),
    )


def _dtype(preset: ModelPreset, gpu: Gpu | None, runtime: Runtime) -> Dtype:
    if runtime == "llama.cpp":
        return "half"
    if gpu is None or gpu.has_bf16:
        return "bfloat16"
    return "float32" if preset.needs_wide_dtype else "half"


def _notes(preset: ModelPreset, variant: Variant, gpu: Gpu | None) -> tuple[str, ...]:
    notes: list[str] = []
    if variant.is_gated:
        notes.append(f"{variant.repo} is gated: accept its licence on the hub and set HF_TOKEN")
    if variant.method is Method.ONLINE_FP8:
        notes.append("the 16-bit weights are downloaded and turned into 8-bit floats while loading")
    if gpu and preset.needs_wide_dtype and not gpu.has_bf16:
        notes.append(f"float32, because {gpu.name} has no bfloat16 and vLLM refuses float16 for it")
    return tuple(notes)
