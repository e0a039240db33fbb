"""The named hardware profiles, so that a plan can be made on a laptop for a T4.

Source of the memory that programs see: serving-gpu.md section 3, the table "Fit of 3B + 7B" (T4,
A100, L4, 4090, 3090); H100 and H200: 80 and 141 GB cards as nvidia-smi shows them, less the
driver's share. Driver of Colab: googlecolab/colabtools issues 5081 and 5578 (serving-gpu.md fact
1). RAM of the free Colab machine: serving-gpu.md section 3; RAM and cores elsewhere are
assumptions about a usual machine.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from engine.errors import UsageError
from servers.hardware.values import GIB, Gpu, HardwareProfile
from servers.model import Precision

_COLAB_DRIVER = (550, 54, 15)


def _profile(  # noqa: PLR0913 - one row of the table below
    key: str,
    title: str,
    gpu: tuple[str, float, tuple[int, int]],
    *,
    precision: Precision,
    ram_gb: float,
    n_cores: int,
    driver: tuple[int, ...] | None = None,
) -> HardwareProfile:
    name, total_gib, capability = gpu
    card = Gpu(index=0, name=name, total_bytes=round(total_gib * GIB), capability=capability)
    return HardwareProfile(
        key=key,
        title=title,
        gpus=(card,),
        host_bytes=round(ram_gb * 1e9),
        n_cores=n_cores,
        driver=driver,
        precision=precision,
        source="serving-gpu.md section 3 (2026-11-22)",
    )


_T4 = ("Tesla T4", 14.56, (7, 5))

_ALL = (
    _profile(
        "colab_free_t4",
        "Colab, free: T4",
        _T4,
        precision="4bit",
        ram_gb=12.7,
        n_cores=2,
        driver=_COLAB_DRIVER,
    ),
    _profile(
        "colab_pro_t4",
        "Colab Pro: T4 with more RAM",
        _T4,
        precision="8bit",
        ram_gb=51,
        n_cores=8,
        driver=_COLAB_DRIVER,
    ),
    _profile(
        "colab_pro_plus_a100",
        "Colab Pro+: A100 40 GB",
        ("NVIDIA A100-SXM4-40GB", 39.5, (8, 0)),
        precision="fp16",
        ram_gb=83.5,
        n_cores=12,
        driver=_COLAB_DRIVER,
    ),
    _profile(
        "l4_ada",
        "L4 24 GB",
        ("NVIDIA L4", 22.0, (8, 9)),
        precision="8bit",
        ram_gb=53,
        n_cores=12,
    ),
    _profile(
        "local_4090",
        "RTX 4090 24 GB",
        ("NVIDIA GeForce RTX 4090", 23.5, (8, 9)),
        precision="fp16",
        ram_gb=64,
        n_cores=16,
    ),
    _profile(
        "local_3090",
        "RTX 3090 24 GB",
        ("NVIDIA GeForce RTX 3090", 23.6, (8, 6)),
        precision="8bit",
        ram_gb=64,
        n_cores=16,
    ),
    _profile(
        "h100",
        "H100 80 GB",
        ("NVIDIA H100 80GB HBM3", 79.1, (9, 0)),
        precision="fp16",
        ram_gb=256,
        n_cores=26,
    ),
    _profile(
        "h200",
        "H200 141 GB",
        ("NVIDIA H200", 139.8, (9, 0)),
        precision="fp16",
        ram_gb=256,
        n_cores=26,
    ),
    HardwareProfile(
        key="cpu",
        title="no NVIDIA GPU",
        host_bytes=16 * GIB,
        n_cores=8,
        precision="4bit",
        source="assumption: a usual laptop; detection replaces it by the machine's own numbers",
    ),
)

PROFILES: Mapping[str, HardwareProfile] = MappingProxyType({one.key: one for one in _ALL})
"""Every named profile, by key."""


def get_profile(key: str) -> HardwareProfile:
    """Return the profile called `key`.

    Raises:
        UsageError: there is none of that name; names those that are near.
    """
    if key in PROFILES:
        return PROFILES[key]
    near = get_close_matches(key, PROFILES, n=3, cutoff=0.4)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise UsageError(
        f"--hardware: no hardware profile is called {key!r}.{hint} "
        f"Profiles: {', '.join(PROFILES)}; without --hardware this machine is looked at."
    )


def nearest_profile(profile: HardwareProfile) -> HardwareProfile:
    """Return the named profile that is most like `profile`: by GPU generation, then memory."""
    if not profile.gpus:
        return PROFILES["cpu"]
    gpu = profile.gpus[0]

    def distance(other: HardwareProfile) -> tuple[bool, bool, int]:
        card = other.gpus[0]
        return (
            card.capability[0] != gpu.capability[0],
            card.capability != gpu.capability,
            abs(card.total_bytes - gpu.total_bytes),
        )

    return min((one for one in _ALL if one.gpus), key=distance)
