"""What `doctor` looks at, each thing by itself: what was seen, or what is wrong and the remedy."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from engine.cli.compare import plan_comparison
from engine.cli.directory import new_directory
from engine.cli.knowledge import opened_knowledge
from engine.cli.library import open_library
from engine.cli.options import Options, minimum_tier
from engine.cli.planning import find_hardware
from engine.cli.provenance import versions
from engine.cli.serving.given import endpoints_of, resolved
from engine.errors import EngineError, NotReadyError, UsageError
from engine.sandbox import Tier
from engine.sandbox.doctor import probe
from engine.sandbox.walls import STRENGTH
from engine.settings import child_environment, read_settings
from servers.fit.text import gib
from servers.hardware import HardwareProfile, vllm_build
from servers.install import find_program
from servers.install.builds import BUILDS

_PROJECT = "phaselab"


def python() -> str:
    """Return the versions that shape results."""
    return ", ".join(f"{name} {version}" for name, version in versions().items())


def packages() -> str:
    """Hold every package that is needed against what others demand of it.

    Raises:
        NotReadyError: some do not go together.
    """
    names = _needed(_PROJECT, set())
    wrong = sorted({fault for name in names for fault in _faults(name)})
    if wrong:
        remedy = (
            "in a copy of the project, rm -r .venv and scripts/install; else pip install phaselab"
        )
        raise NotReadyError(f"{'; '.join(wrong)}. Remedy: {remedy}")
    return f"{len(names)} packages go together"


def gpu(options: Options) -> str:
    """Return GPUs and driver, and which vLLM they run."""
    hardware = find_hardware(options.hardware)
    if not hardware.gpus:
        return (
            f"none; {hardware.n_cores} cores, {gib(hardware.host_bytes)} of RAM: models run on "
            "llama.cpp here"
        )
    cards = ", ".join(
        f"{one.name} ({gib(one.free_bytes)} of {gib(one.total_bytes)} free)"
        for one in hardware.gpus
    )
    return f"{cards}, driver {hardware.driver_text}"


def vllm(options: Options) -> str:
    """Return which vLLM would be started.

    Raises:
        NotReadyError, UsageError: there is a GPU and no vLLM for it, or the one named is none.
    """
    hardware = find_hardware(options.hardware)
    if not hardware.gpus and options.vllm is None:
        return "not needed without a GPU"
    return str(_program(hardware, options))


def _program(hardware: HardwareProfile, options: Options) -> Path:
    name = vllm_build(hardware)
    if name is None:
        raise NotReadyError(
            f"driver {hardware.driver_text} runs no build of vLLM; update it to 525 or newer."
        )
    return find_program(
        BUILDS[name],
        read_settings().cache_dir,
        given=options.vllm,
        search_path=child_environment().get("PATH"),
    )


def directory(options: Options) -> str:
    """Return whether run directories can be made.

    Raises:
        UsageError: they cannot, or the one that is named holds something already.
    """
    if options.out:
        with new_directory(options.out):
            pass
    folder = options.out or Path("runs")
    nearest = nearest_there(folder)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UsageError(f"{folder}: {nearest} cannot be written into. Name another with --out.")
    free_gib = shutil.disk_usage(nearest).free / 2**30
    return f"{folder} can be written, {free_gib:.1f} GiB free"


async def sandbox(options: Options) -> str:
    """Make real attacks in a real worker, and hold its tier against what a run accepts.

    Raises:
        NotReadyError: it is too weak.
    """
    found = await probe()
    walls = f"{found.tier}; walls: {', '.join(found.walls) or 'none'}"
    if STRENGTH.index(found.tier) < STRENGTH.index(minimum_tier(options)):
        raise NotReadyError(
            f"{walls}. Model code could {', '.join(found.succeeded)}. {found.advice} "
            "Or accept it with --allow-contained-only."
        )
    n_refused, n_made = len(found.refused), len(found.refused) + len(found.succeeded)
    if found.succeeded and found.tier != Tier.CONTAINED_ONLY:
        raise NotReadyError(f"{walls}, and yet model code could {', '.join(found.succeeded)}.")
    return f"{walls}; {n_refused} of {n_made} attacks refused"


async def endpoint(options: Options, model: str) -> str:
    """Ask one endpoint what it serves.

    Raises:
        NotReadyError, UsageError: it is not ready, or something about it is wrong.
    """
    chosen = next(each for each in endpoints_of(options) if each.model == model)
    found = await resolved(chosen)
    if isinstance(found, EngineError):
        raise found
    window = f"{found.max_model_len} tokens" if found.max_model_len else "a window it does not tell"
    return f"{found.url} serves {found.served_model!r} with {window}"


async def main_job(models: str, options: Options) -> str:
    """Start what the main job would start, and stop it again.

    Raises:
        NotReadyError, UsageError: it would not run.
    """
    study = plan_comparison((), models, options)
    with tempfile.TemporaryDirectory(prefix="phaselab-doctor-") as folder:
        async with study.serving.open(Path(folder)) as endpoints:
            library = open_library(options)
            promised = study.serving.promised_bytes
            with opened_knowledge(
                endpoints, study.phases, library, log_dir=Path(folder), promised_bytes=promised
            ):
                windows = ", ".join(f"{e.model} ({e.max_model_len} tokens)" for e in endpoints)
    phases = ", ".join(phase.key for phase in study.phases)
    return f"phase {phases} with {windows}. {study.serving.reason}"


def nearest_there(folder: Path) -> Path:
    """Return the first of `folder` and the directories around it that exists and can be seen."""
    return next(part for part in (folder, *folder.absolute().parents) if _is_seen(part))


def _is_seen(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _needed(name: str, known: set[str]) -> set[str]:
    """Return `name` and all that it needs, and so on."""
    if name in known:
        return known
    known.add(name)
    for one in _requirements(name):
        _needed(one.name.lower(), known)
    return known


def _faults(name: str) -> Iterable[str]:
    for one in _requirements(name):
        try:
            found = distribution(one.name).version
        except PackageNotFoundError:
            yield f"{name} needs {one.name}, which is not installed"
            continue
        if not one.specifier.contains(found, prereleases=True):
            yield f"{name} needs {one.name}{one.specifier}, and {found} is installed"


def _requirements(name: str) -> list[Requirement]:
    try:
        stated = distribution(name).requires or ()
    except PackageNotFoundError:
        return []
    found = [Requirement(text) for text in stated]
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]
