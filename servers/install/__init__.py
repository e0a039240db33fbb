"""A virtual environment of its own for vLLM, with the build that this machine can run.

vLLM pins about 150 packages, so it never shares an environment with the engine: it is started as a
program. An installation is finished exactly when its stamp exists. What was interrupted has none,
and is made again from nothing (the downloads are in pip's cache by then). A lock, held by the
installing children too, keeps two installations out of one directory.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engine.errors import NotReadyError, UsageError, boundary
from servers.install.builds import VllmBuild
from servers.install.recipes import RECIPES, make_environment
from servers.install.workshop import StepError, Workshop
from servers.kept import make_directory

STAMP = "phaselab.json"
CHECK_S = 600
"""Longest wait for `vllm --version`; 9 s idle, minutes on a busy machine with cold caches."""


class Stamp(msgspec.Struct, frozen=True):
    """What a finished installation says of itself."""

    build: str
    version: str
    reported_version: str
    """What `vllm --version` printed."""
    time: float


def read_stamp(directory: Path) -> Stamp | None:
    """Return the stamp of the finished installation in `directory`; None if there is none."""
    try:
        return msgspec.json.decode((directory / STAMP).read_bytes(), type=Stamp)
    except (OSError, msgspec.DecodeError):
        return None


def directory_of(build: VllmBuild, cache: Path) -> Path:
    """Return where `build` is installed under `cache`."""
    return cache / f"vllm-{build.name}-{build.version}"


def program(directory: Path) -> Path:
    """Return where the `vllm` program of an installation in `directory` is."""
    return directory / "bin" / "vllm"


def python_of(directory: Path) -> Path:
    """Return the interpreter of an installation in `directory`; it has torch and transformers."""
    return directory / "bin" / "python"


def find_program(
    build: VllmBuild, cache: Path, *, given: Path | None, search_path: str | None
) -> Path:
    """Return the vLLM to start: the one given, else one on the path, else the one installed here.

    Raises:
        UsageError: the one given is no program.
        NotReadyError: there is none.
    """
    if given is not None:
        if shutil.which(given) is None:
            raise UsageError(f"--vllm {given}: there is no such program, or it cannot be executed.")
        return given.absolute()
    on_path = shutil.which("vllm", path=search_path)
    if on_path is not None:
        return Path(on_path)
    directory = directory_of(build, cache)
    if read_stamp(directory) is None:
        raise NotReadyError(
            f"vLLM is not installed. Install it with `python -m engine.run install vllm` "
            f"({_gb(build.disk_bytes)} on disk), or name one with --vllm PATH."
        )
    return program(directory)


def install(build: VllmBuild, directory: Path, *, tell: Callable[[str], None]) -> Path:
    """Make sure that `build` is installed in `directory`, and return its `vllm` program.

    Needs no network, and does nothing, when that is so already.

    Raises:
        NotReadyError: it cannot be installed here; names the log and the remedy.
    """
    if read_stamp(directory) is None:
        if sys.platform != "linux":
            raise NotReadyError(_NO_PLATFORM.format(platform=sys.platform))
        with (
            boundary(NotReadyError, f"cannot install vLLM into {directory}"),
            _only_one(directory, tell) as lock_fd,
        ):
            if read_stamp(directory) is None:
                _install(build, directory, lock_fd=lock_fd, tell=tell)
    return program(directory)


def _install(
    build: VllmBuild, directory: Path, *, lock_fd: int, tell: Callable[[str], None]
) -> None:
    _check_disk(build, directory)
    tell(_announcement(build, directory))
    log = directory.with_name(directory.name + ".log")
    log.write_text("", encoding="utf-8")
    work = Workshop(directory=directory, log=log, lock_fd=lock_fd, tell=tell)
    try:
        make_environment(work)
        RECIPES[build.name](work, build)
        tell("checking that it starts")
        reported = work.run(program(directory), "--version", timeout_s=CHECK_S)
    except (StepError, subprocess.TimeoutExpired) as error:
        raise NotReadyError(_failure(build, log, error)) from error
    stamp = Stamp(build.name, build.version, reported.strip().rpartition("\n")[2], time.time())
    _write_stamp(directory, stamp)
    tell(f"vLLM {stamp.reported_version} is ready: {program(directory)}")


@contextmanager
def _only_one(directory: Path, tell: Callable[[str], None]) -> Generator[int]:
    """Hold the lock of `directory`; wait for whoever holds it."""
    import fcntl

    make_directory(directory.parent)
    with directory.with_name(directory.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"another installation into {directory} is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _write_stamp(directory: Path, stamp: Stamp) -> None:
    draft = directory / f"{STAMP}.draft"
    draft.write_bytes(msgspec.json.encode(stamp))
    draft.replace(directory / STAMP)


def _check_disk(build: VllmBuild, directory: Path) -> None:
    needed = build.disk_bytes + build.download_bytes
    free = shutil.disk_usage(directory.parent).free
    if free < needed:
        raise NotReadyError(
            f"vLLM ({build.name} build) needs {_gb(needed)} of disk, and {directory.parent} has "
            f"{_gb(free)} free. Free some, or point XDG_CACHE_HOME at a larger disk."
        )


def _announcement(build: VllmBuild, directory: Path) -> str:
    low, high = build.duration_min
    return (
        f"installing vLLM {build.version} ({build.name} build) into {directory}: about "
        f"{_gb(build.download_bytes)} to download, {_gb(build.disk_bytes)} on disk, "
        f"{low} to {high} minutes; it can be interrupted and repeated"
    )


def _failure(build: VllmBuild, log: Path, error: Exception) -> str:
    tail = "\n".join(f"  {line}" for line in str(error).strip().splitlines()[-8:])
    return (
        f"vLLM {build.version} ({build.name} build) could not be installed; the log is {log}. "
        f"Its end:\n{tail}\nRemedy: check the network and pip's index settings and repeat the "
        "command; or install vLLM yourself and name its program with --vllm PATH."
    )


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB"


_NO_PLATFORM = (
    "vLLM runs on Linux only, and this is {platform}. Use the embedded server (no installation "
    "needed), Linux in a virtual machine or WSL, or a remote server with --endpoint NAME=URL."
)
