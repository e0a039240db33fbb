"""Builders for what the fit is asked."""

import msgspec

from servers.fit import LaunchPlan, Refusal, Request, fit
from servers.fit.values import Measured
from servers.hardware import GIB, PROFILES, Gpu, HardwareProfile
from servers.model import Precision
from servers.presets import PRESETS

PAIR = ("qwen2.5-3b", "qwen2.5-7b")


def machine(
    *total_gib: float,
    capability: tuple[int, int] = (8, 6),
    others_gib: float = 0,
    ram_gib: int = 64,
) -> HardwareProfile:
    """A machine with one GPU per given size."""
    gpus = tuple(
        Gpu(
            index=i,
            name=f"GPU {i}",
            total_bytes=round(each * GIB),
            others_bytes=round(others_gib * GIB),
            capability=capability,
        )
        for i, each in enumerate(total_gib)
    )
    return HardwareProfile(
        key="made-up",
        title="made up",
        gpus=gpus,
        host_bytes=ram_gib * GIB,
        n_cores=8,
        precision="fp16",
        source="test",
    )


def with_card(
    hardware: HardwareProfile, total_gib: float, capability: tuple[int, int] = (8, 6)
) -> HardwareProfile:
    """The same machine with one more GPU."""
    index = len(hardware.gpus)
    gpu = Gpu(
        index=index,
        name=f"GPU {index}",
        total_bytes=round(total_gib * GIB),
        capability=capability,
    )
    return msgspec.structs.replace(hardware, gpus=(*hardware.gpus, gpu))


def asked(
    hardware: str | HardwareProfile,
    *models: str,
    precision: Precision | None = None,
    context_tokens: int | None = None,
    has_fp8_kv: bool = False,
    measured: tuple[Measured, ...] = (),
) -> Request:
    """A request for presets by key."""
    return Request(
        presets=tuple(PRESETS[key] for key in models),
        hardware=PROFILES[hardware] if isinstance(hardware, str) else hardware,
        precision=precision,
        context_tokens=context_tokens,
        has_fp8_kv=has_fp8_kv,
        measured=measured,
        catalogue=tuple(PRESETS.values()),
    )


def plan_of(request: Request) -> LaunchPlan:
    """The plan for a request that must fit."""
    found = fit(request)
    assert isinstance(found, LaunchPlan), found.reason
    return found


def refusal_of(request: Request) -> Refusal:
    """The refusal of a request that must not fit."""
    found = fit(request)
    assert isinstance(found, Refusal)
    return found


def with_driver(hardware: HardwareProfile, *driver: int) -> HardwareProfile:
    """The same machine with another driver."""
    return msgspec.structs.replace(hardware, driver=driver)
