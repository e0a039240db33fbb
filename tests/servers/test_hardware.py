from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import NotReadyError, UsageError
from engine.machine import Cgroups
from servers.hardware import (
    GIB,
    PROFILES,
    detect,
    get_profile,
    nearest_profile,
    this_cpu,
    vllm_build,
)
from servers.hardware.detection import mapped_bytes
from tests.servers.fitting import machine, with_driver


class _FaultError(Exception):
    pass


@dataclass
class _Driver:
    """NVIDIA's library on a machine with two cards; obeys the part of its contract that is used."""

    has_driver: bool = True
    is_broken: bool = False
    has_v2: bool = True
    names: tuple[str, ...] = ("Tesla T4", "NVIDIA L4")
    totals_gib: tuple[int, ...] = (15, 16)
    n_open: int = 0
    NVMLError: type[Exception] = _FaultError
    nvmlMemory_v2: int = field(default=2, init=False)  # noqa: N815

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.has_driver:
            raise _FaultError("no driver")
        self.n_open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.n_open -= 1

    def nvmlSystemGetDriverVersion(self) -> bytes:  # noqa: N802
        return b"550.54.15"

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        if self.is_broken:
            raise _FaultError("GPU is lost")
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return self.names[handle]

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return f"GPU-{handle}{handle}{handle}"

    def nvmlDeviceGetCudaComputeCapability(self, handle: int) -> tuple[int, int]:  # noqa: N802
        return ((7, 5), (8, 9))[handle]

    def nvmlDeviceGetMemoryInfo(self, handle: int, version: int = 1) -> SimpleNamespace:  # noqa: N802
        total = self.totals_gib[handle] * GIB
        if version == 2 and not self.has_v2:
            raise _FaultError("not supported")
        if version == 2:
            return SimpleNamespace(total=total, used=GIB, reserved=GIB // 2)
        return SimpleNamespace(total=total, used=GIB + GIB // 2)


def test_all_cards_are_found_with_their_memory() -> None:
    found = detect(_Driver())
    assert [gpu.name for gpu in found.gpus] == ["Tesla T4", "NVIDIA L4"]
    assert found.gpus[0].total_bytes == 14.5 * GIB
    assert found.gpus[0].others_bytes == GIB
    assert found.gpus[1].capability == (8, 9)
    assert found.driver == (550, 54, 15)


def test_free_memory_is_the_same_where_the_driver_does_not_tell_its_own_share() -> None:
    old, new = detect(_Driver(has_v2=False)), detect(_Driver())
    assert [gpu.free_bytes for gpu in old.gpus] == [gpu.free_bytes for gpu in new.gpus]


@pytest.mark.parametrize(
    ("visible", "indices"),
    [(None, [0, 1]), ("1", [1]), ("GPU-00", [0]), ("1,0", [0, 1]), ("", []), ("-1", [])],
)
def test_only_visible_cards_count(visible: str | None, indices: list[int]) -> None:
    assert [gpu.index for gpu in detect(_Driver(), visible=visible).gpus] == indices


def test_largest_card_decides_how_fine_weights_are() -> None:
    assert detect(_Driver(totals_gib=(80, 4))).precision == "fp16"


def test_number_of_a_card_that_may_be_another_is_refused_with_what_to_do() -> None:
    with pytest.raises(NotReadyError, match=r"CUDA_VISIBLE_DEVICES is '1'.*PCI_BUS_ID.*UUID"):
        detect(_Driver(), visible="1", order=None)


@pytest.mark.parametrize(
    ("visible", "order", "names"),
    [
        ("1", "PCI_BUS_ID", ("Tesla T4", "NVIDIA L4")),
        ("0,1", None, ("Tesla T4", "NVIDIA L4")),
        ("GPU-11", None, ("Tesla T4", "NVIDIA L4")),
        ("", None, ("Tesla T4", "NVIDIA L4")),
        ("1", None, ("NVIDIA L4", "NVIDIA L4")),
    ],
)
def test_cards_are_taken_where_it_is_clear_which_are_meant(
    visible: str, order: str | None, names: tuple[str, ...]
) -> None:
    driver = _Driver(names=names)
    found = detect(driver, visible=visible, order=order)
    assert found.gpus == detect(driver, visible=visible).gpus


def test_memory_and_cores_of_a_container_end_at_its_limits(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{GIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon {GIB // 4}\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    found = this_cpu(Cgroups(tmp_path))
    assert (found.host_bytes, found.host_others_bytes) == (GIB, GIB // 4)
    assert found.n_cores == 1


def test_machine_without_a_driver_is_the_cpu_profile() -> None:
    found = detect(_Driver(has_driver=False))
    assert (found.key, found.gpus) == ("cpu", ())
    assert found.n_cores >= 1
    assert found.host_bytes > found.host_others_bytes > 0


def test_driver_that_does_not_answer_is_said() -> None:
    with pytest.raises(NotReadyError, match=r"GPU is lost.*nvidia-smi"):
        detect(_Driver(is_broken=True))


@pytest.mark.parametrize("driver", [_Driver(), _Driver(names=()), _Driver(has_v2=False)])
def test_library_is_closed_again(driver: _Driver) -> None:
    detect(driver)
    assert driver.n_open == 0


def test_real_library_is_asked_without_a_fault() -> None:
    assert detect().n_cores == this_cpu().n_cores


def test_named_profile_is_nearest_to_itself() -> None:
    for key, profile in PROFILES.items():
        near = nearest_profile(profile)
        assert near.gpus == profile.gpus, key


def test_detected_card_is_near_to_the_profile_of_its_kind() -> None:
    assert nearest_profile(machine(14.7, capability=(7, 5))).key == "colab_free_t4"
    assert nearest_profile(machine(31.4, capability=(8, 9))).key == "local_4090"


@pytest.mark.parametrize(
    ("driver", "build"), [((580, 1), "cu13"), ((550, 54), "cu12"), ((525,), "cu12"), ((470,), None)]
)
def test_build_follows_the_driver(driver: tuple[int, ...], build: str | None) -> None:
    assert vllm_build(with_driver(PROFILES["l4_ada"], *driver)) == build


def test_unknown_profile_is_answered_with_near_names() -> None:
    with pytest.raises(UsageError, match=r"--hardware: .*'colab_t4'.*colab_pro_t4"):
        get_profile("colab_t4")


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux alone says it")
def test_mapped_files_are_a_part_of_the_ram() -> None:
    assert 0 < mapped_bytes() < this_cpu().host_bytes
