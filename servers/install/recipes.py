"""How each build of vLLM is put into its virtual environment.

The CPU build needs care. The torchvision, torchaudio and torchcodec that its metadata asks for are
CUDA builds on the usual index and keep it from starting, so they are left out; so is triton, a
gigabyte that makes nothing faster without a GPU. Its program asks for the record of a distribution
called "vllm", which it does not have, so one is written.
"""

import importlib.metadata
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from servers.hardware import Build as BuildName
from servers.install.builds import VllmBuild
from servers.install.workshop import StepError, Workshop, has_pip

_LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec", "triton"}
_ASKS_FOR_TRITON = "xgrammar"
_RELEASES = "https://github.com/vllm-project/vllm/releases/expanded_assets"


def make_environment(work: Workshop) -> None:
    """Begin with an empty virtual environment.

    It gets a pip of its own only where ours cannot serve it: Debian and Colab split off the
    ensurepip that makes one.
    """
    work.tell("making the virtual environment")
    options = ("--clear", "--without-pip") if has_pip() else ("--clear",)
    work.run(sys.executable, "-I", "-m", "venv", *options, work.directory)


def _install_cuda_13(work: Workshop, build: VllmBuild) -> None:
    work.tell(f"installing {build.package} {build.version} with its PyTorch")
    work.pip(f"{build.package}=={build.version}")


def _install_cuda_12(work: Workshop, build: VllmBuild) -> None:
    """Install from the assets of vLLM's release: the package index has the CUDA 13 build only."""
    work.tell(f"installing {build.package} {build.version} with its PyTorch")
    public, _, backend = build.version.partition("+")
    work.uv_pip(
        f"--torch-backend={backend}",
        "--find-links",
        f"{_RELEASES}/v{public}",
        f"{build.package}=={build.version}",
    )


def _install_cpu(work: Workshop, build: VllmBuild) -> None:
    work.tell(f"installing {build.package} {build.version}")
    work.pip("--no-deps", f"{build.package}=={build.version}")
    work.tell(f"installing the CPU build of PyTorch {build.torch}")
    _install_cpu_torch(work, build.torch)
    work.tell("installing about 150 packages that it needs")
    wanted = _requirements(work.directory, build.package)
    alone = [line for line in wanted if _name(line) == _ASKS_FOR_TRITON]
    work.pip("--no-deps", *alone)
    wanted = [line for line in wanted if line not in alone]
    wanted += _requirements(work.directory, _ASKS_FOR_TRITON)
    listed = work.directory / "requirements.txt"
    lines = (f"torch=={build.torch}", *wanted, "")
    listed.write_text("\n".join(lines), encoding="utf-8")
    work.pip("-r", listed)
    _write_record(work.directory, build)


def _install_cpu_torch(work: Workshop, version: str) -> None:
    """Take the "+cpu" build from wherever pip looks, else let uv find it.

    The plain package index has none; a mirror or a wheel directory may.
    """
    try:
        work.pip(f"torch=={version}+cpu")
    except StepError as error:
        if "No matching distribution" not in str(error):
            raise
        work.uv_pip("--torch-backend=cpu", f"torch=={version}")


def _site_packages(directory: Path) -> Path:
    (found,) = directory.glob("lib/python3.*/site-packages")
    return found


def _record_name(name: str, version: str) -> str:
    return f"{name.replace('-', '_')}-{version}.dist-info"


def _requirements(directory: Path, package: str) -> list[str]:
    """What an installed package asks for, without extras and what is left out."""
    places = [str(_site_packages(directory))]
    (found,) = importlib.metadata.distributions(name=package, path=places)
    own = [line for line in found.requires or () if "extra ==" not in line]
    return [line for line in own if _name(line) not in _LEFT_OUT]


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return found[0].lower() if found else ""


def _write_record(directory: Path, build: VllmBuild) -> None:
    """Say that a distribution "vllm" is there: its program and its platform check ask for one."""
    version = f"{build.version}+cpu"
    record = _site_packages(directory) / _record_name("vllm", version)
    record.mkdir()
    text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n"
    (record / "METADATA").write_text(text, encoding="utf-8")
    (record / "INSTALLER").write_text("phaselab\n", encoding="utf-8")


RECIPES: Mapping[BuildName, Callable[[Workshop, VllmBuild], None]] = {
    "cu13": _install_cuda_13,
    "cu12": _install_cuda_12,
    "cpu": _install_cpu,
}
