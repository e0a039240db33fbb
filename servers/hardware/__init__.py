"""What a machine has to serve models with: named profiles, and the machine that is there."""

from servers.hardware.detection import detect, this_cpu
from servers.hardware.profiles import PROFILES, get_profile, nearest_profile
from servers.hardware.values import GIB, Build, Gpu, HardwareProfile, vllm_build

__all__ = [
    "GIB",
    "PROFILES",
    "Build",
    "Gpu",
    "HardwareProfile",
    "detect",
    "get_profile",
    "nearest_profile",
    "this_cpu",
    "vllm_build",
]
