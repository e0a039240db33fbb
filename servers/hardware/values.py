"""GPU and hardware profile as values, and what follows from them alone."""

from typing import Literal

import msgspec

from servers.model import Precision

GIB = 1 << 30

Build = Literal["cu13", "cu12", "cpu"]
"""Which of vLLM's builds: for CUDA 13, for CUDA 12, or without a GPU."""

CUDA_13_DRIVER = 580
CUDA_12_DRIVER = 525
OLDEST_CAPABILITY = (7, 5)
"""Source: serving-gpu.md facts 1 and 2 and the end of section 2 (vLLM 0.33 wheel)."""


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU."""

    index: int
    uuid: str = ""
    """NVIDIA's name for this very card; empty in a named profile."""
    name: str
    total_bytes: int
    """Memory that programs see, which is less than what is printed on the box."""
    others_bytes: int = 0
    """Memory that other processes hold now."""
    capability: tuple[int, int]
    """CUDA compute capability, e.g. (7, 5) for a T4."""

    @property
    def free_bytes(self) -> int:
        """Memory that nobody holds."""
        return max(0, self.total_bytes - self.others_bytes)

    @property
    def has_bf16(self) -> bool:
        """It computes in bfloat16. Source: serving-gpu.md section 2."""
        return self.capability >= (8, 0)

    @property
    def has_native_fp8(self) -> bool:
        """It multiplies 8-bit floats and can cache keys and values in them.

        Source: serving-gpu.md section 2, rows "FP8 weights" and "fp8 KV cache".
        """
        return self.capability >= (8, 9)


class HardwareProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What one machine has."""

    key: str
    title: str
    gpus: tuple[Gpu, ...] = ()
    host_bytes: int
    """RAM of the machine."""
    host_others_bytes: int = 0
    """RAM that is in use now."""
    n_cores: int
    driver: tuple[int, ...] | None = None
    """Version of the NVIDIA driver; None where it is not known: taken as new enough."""
    precision: Precision
    """Finest precision that this machine is usually good for; a plan starts from it."""
    source: str
    """Where the numbers come from."""

    @property
    def total_bytes(self) -> int:
        """Memory for models: of all GPUs together, or RAM where there is none."""
        return sum(gpu.total_bytes for gpu in self.gpus) if self.gpus else self.host_bytes

    @property
    def name(self) -> str:
        """What to call the place where servers are started."""
        return self.title if self.gpus else f"this machine ({self.title})"

    @property
    def driver_text(self) -> str:
        """The driver's version as people write it."""
        return ".".join(map(str, self.driver)) if self.driver else "unknown"


def vllm_build(profile: HardwareProfile) -> Build | None:
    """Name the vLLM build that the driver can run; None: the driver is too old for any.

    Source: serving-gpu.md section 2, "driver major >= 580 -> PyPI wheel; >= 525 -> cu12 build".
    """
    if not profile.gpus:
        return "cpu"
    if profile.driver is None or profile.driver[0] >= CUDA_13_DRIVER:
        return "cu13"
    return "cu12" if profile.driver[0] >= CUDA_12_DRIVER else None
