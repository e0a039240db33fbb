"""What this machine has: GPUs through NVIDIA's management library, cores and RAM."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from engine.errors import NotReadyError
from engine.machine import HERE, Cgroups, n_cores, ram
from servers.hardware.values import Gpu, HardwareProfile
from servers.model import Precision

_FEW_BYTES = 20 << 30
_SOME_BYTES = 32 << 30
_BY_SLOT = "PCI_BUS_ID"
"""The value of CUDA_DEVICE_ORDER with which CUDA numbers cards as NVIDIA's library does."""

Handle = Any
"""Whatever the library hands out: it has no types of its own."""


class Nvml(Protocol):
    """The part of nvidia-ml-py (module `pynvml`) that is used here, under NVIDIA's names."""

    @property
    def NVMLError(self) -> type[Exception]:  # noqa: N802
        """Whatever goes wrong in the library."""
        ...

    @property
    def nvmlMemory_v2(self) -> int:  # noqa: N802
        """Number of the newer layout of memory figures."""
        ...

    def nvmlInit(self) -> None:  # noqa: N802
        """Load the driver's library."""
        ...

    def nvmlShutdown(self) -> None:  # noqa: N802
        """Let go of it."""
        ...

    def nvmlSystemGetDriverVersion(self) -> str | bytes:  # noqa: N802
        """Version of the driver, e.g. 550.54.15."""
        ...

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        """How many GPUs there are."""
        ...

    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Handle:  # noqa: N802
        """Whatever names one GPU in the calls below."""
        ...

    def nvmlDeviceGetName(self, handle: Handle, /) -> str | bytes:  # noqa: N802
        """Name of the model of GPU."""
        ...

    def nvmlDeviceGetUUID(self, handle: Handle, /) -> str | bytes:  # noqa: N802
        """Name of this very card."""
        ...

    def nvmlDeviceGetMemoryInfo(self, handle: Handle, version: int = ..., /) -> Handle:  # noqa: N802
        """Bytes total, used and, from version 2 on, reserved."""
        ...

    def nvmlDeviceGetCudaComputeCapability(self, handle: Handle, /) -> tuple[int, int]:  # noqa: N802
        """Major and minor compute capability."""
        ...


def detect(
    nvml: Nvml | None = None, *, visible: str | None = None, order: str | None = _BY_SLOT
) -> HardwareProfile:
    """Look at this machine. Without an NVIDIA driver the result is the profile `cpu`.

    `nvml` defaults to NVIDIA's own library. `visible` is the value of CUDA_VISIBLE_DEVICES: which
    GPUs, by index or UUID, this user may take; None means all. `order` is that of
    CUDA_DEVICE_ORDER: by what the indices count.

    Raises:
        NotReadyError: there is an NVIDIA driver, but it does not answer as it should; or cards
            differ, and it is not clear which ones the indices mean.
    """
    library = nvml or _own_nvml()
    try:
        library.nvmlInit()
    except library.NVMLError:
        return this_cpu()
    try:
        return _read(library, visible, order)
    except library.NVMLError as error:
        raise NotReadyError(
            f"the NVIDIA driver is there but does not answer ({error}). See whether nvidia-smi "
            "works; or name the hardware with --hardware, e.g. --hardware cpu."
        ) from error
    finally:
        library.nvmlShutdown()


def this_cpu(cgroups: Cgroups = HERE) -> HardwareProfile:
    """Describe this machine without its GPUs: cores and RAM that this process may use."""
    memory, cores = ram(cgroups), n_cores(cgroups)
    return HardwareProfile(
        key="cpu",
        title=f"no NVIDIA GPU: {cores} cores",
        host_bytes=memory.total_bytes,
        host_others_bytes=memory.total_bytes - memory.available_bytes,
        n_cores=cores,
        precision="4bit",
        source="this machine",
    )


def mapped_bytes() -> int:
    """Return the RAM of files that programs have mapped, such as llama.cpp its weights.

    Linux counts it as available: it can be read again from the disk, and a server would have to.
    0 where the system does not say.
    """
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    kib = (line.split()[1] for line in lines if line.startswith("Mapped:"))
    return int(next(kib, "0")) << 10


def _own_nvml() -> Nvml:
    import pynvml

    return pynvml


def _read(nvml: Nvml, visible: str | None, order: str | None) -> HardwareProfile:
    found = [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    gpus = tuple(gpu for gpu in found if _is_visible(gpu, visible))
    if order != _BY_SLOT and len(gpus) < len(found):
        _check_indices(found, visible or "")
    cpu = this_cpu()
    if not gpus:
        return cpu
    return HardwareProfile(
        key="detected",
        title=" + ".join(gpu.name for gpu in gpus),
        gpus=gpus,
        host_bytes=cpu.host_bytes,
        host_others_bytes=cpu.host_others_bytes,
        n_cores=cpu.n_cores,
        driver=_version(_text(nvml.nvmlSystemGetDriverVersion())),
        precision=_usual_precision(gpus),
        source="this machine",
    )


def _gpu(nvml: Nvml, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    total_bytes, used_bytes = _memory(nvml, handle)
    return Gpu(
        index=index,
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        total_bytes=total_bytes,
        others_bytes=used_bytes,
        capability=nvml.nvmlDeviceGetCudaComputeCapability(handle),
    )


def _is_visible(gpu: Gpu, visible: str | None) -> bool:
    """Names in CUDA_VISIBLE_DEVICES are indices or beginnings of UUIDs."""
    if visible is None:
        return True
    return any(word == str(gpu.index) or gpu.uuid.startswith(word) for word in _words(visible))


def _words(visible: str) -> list[str]:
    return [word.strip() for word in visible.split(",") if word.strip()]


def _check_indices(gpus: Sequence[Gpu], visible: str) -> None:
    """Refuse indices by speed, of which only CUDA knows whose they are.

    Source: CUDA C++ programming guide, CUDA_DEVICE_ORDER: by itself FASTEST_FIRST, "a simple
    heuristic", with the order of the rest unspecified.
    """
    names = sorted({gpu.name for gpu in gpus})
    if len(names) > 1 and any(word.isdecimal() for word in _words(visible)):
        raise NotReadyError(
            f"CUDA_VISIBLE_DEVICES is {visible!r}, and this machine has different cards "
            f"({', '.join(names)}): CUDA counts them by speed, nvidia-smi by slot. Set "
            f"CUDA_DEVICE_ORDER={_BY_SLOT} to count as nvidia-smi does, or name cards by UUID "
            "(nvidia-smi -L)."
        )


def _memory(nvml: Nvml, handle: object) -> tuple[int, int]:
    """Read (total, used) bytes, without what the driver keeps for itself where it says so."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle, nvml.nvmlMemory_v2)
    except nvml.NVMLError:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        return int(memory.total), int(memory.used)
    return int(memory.total) - int(memory.reserved), int(memory.used)


def _usual_precision(gpus: tuple[Gpu, ...]) -> Precision:
    largest = max(gpu.total_bytes for gpu in gpus)
    if largest < _FEW_BYTES:
        return "4bit"
    return "8bit" if largest < _SOME_BYTES else "fp16"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
