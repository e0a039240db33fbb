"""The machine under the notebook: its GPU, and the build of vLLM that its driver runs."""

from pathlib import Path
from typing import NamedTuple

from engine.cli.console import say
from engine.cli.planning import find_hardware
from engine.errors import NotReadyError
from engine.settings import read_settings
from servers.fit.text import gib
from servers.hardware import Build, HardwareProfile, this_cpu, vllm_build
from servers.install import directory_of, read_stamp
from servers.install import install as install_build
from servers.install.builds import BUILDS

_WHY: dict[Build, str] = {
    "cu13": "its driver runs CUDA 13",
    "cu12": "its driver is too old for CUDA 13",
    "cpu": "there is no GPU",
}
_FALLBACK = (
    "FALLBACK: {why} The two tiny models that ship are investigated in place of models that need "
    "vLLM: they show how everything works, and are no finding about language models."
)


class Machine(NamedTuple):
    """What is there."""

    hardware: HardwareProfile
    build: Build | None
    """Which build of vLLM its driver runs; None: none, or there is no GPU."""


def look() -> Machine:
    """Say which GPU and driver are there, and which build of vLLM belongs to them."""
    hardware = _hardware()
    if not hardware.gpus:
        say(
            f"no NVIDIA GPU; {hardware.n_cores} cores, {gib(hardware.host_bytes)} of RAM. In "
            "Colab: Runtime > Change runtime type > T4 GPU."
        )
        return Machine(hardware, None)
    cards = ", ".join(f"{gpu.name} with {gib(gpu.total_bytes)}" for gpu in hardware.gpus)
    build = vllm_build(hardware)
    chosen = f"vLLM {BUILDS[build].version} ({build}: {_WHY[build]})" if build else "no vLLM"
    say(f"{cards}, driver {hardware.driver_text}: {chosen}.")
    return Machine(hardware, build)


def install(machine: Machine) -> None:
    """Install the build of vLLM for `machine`.

    A build that does not install or start is followed by the one for older drivers, and that by
    the models that ship: which it is, is said.
    """
    if machine.build is None:
        gpus = machine.hardware.gpus
        why = "the driver is too old for vLLM." if gpus else "there is no GPU."
        say(_FALLBACK.format(why=why))
        return
    builds: tuple[Build, ...] = ("cu13", "cu12") if machine.build == "cu13" else (machine.build,)
    for name in builds:
        try:
            install_build(BUILDS[name], _directory(name), tell=say)
        except NotReadyError as error:
            say(f"vLLM's {name} build cannot be used: {error}")
        else:
            return
    say(_FALLBACK.format(why="no build of vLLM could be installed (see above)."))


def has_server() -> bool:
    """Return whether this machine has a GPU, and a vLLM that was installed for one."""
    return bool(_hardware().gpus) and any(
        read_stamp(_directory(name)) is not None for name in ("cu13", "cu12")
    )


def _directory(name: Build) -> Path:
    return directory_of(BUILDS[name], read_settings().cache_dir)


def _hardware() -> HardwareProfile:
    try:
        return find_hardware(None)
    except NotReadyError as error:
        say(f"{error}")
        return this_cpu()
