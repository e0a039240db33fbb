"""Probes for the arms of a study: for every one of them, or for none."""

import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from engine.errors import NotReadyError
from engine.introspection.checkpoint import Checkpoint
from engine.introspection.probe import Probe
from engine.machine import n_cores
from engine.manifest import ProbeFacts
from engine.settings import read_settings
from servers.hardware import HardwareProfile, this_cpu
from servers.hardware.detection import mapped_bytes
from servers.install import directory_of, python_of, read_stamp
from servers.install.builds import BUILDS
from servers.probe.client import Start, TorchProbe
from servers.probe.interpreter import Interpreter, find_interpreter
from servers.probe.memory import ProbePlan, least_bytes, plan_probes

_NO_INTERPRETER = (
    "no Python with torch and transformers was found. Install them with `scripts/install interp`"
    " in a copy of the project, else `pip install 'phaselab[interp]'`, or with vLLM:"
    " `python -m engine.run install vllm`."
)


@dataclass(frozen=True, kw_only=True)
class Probing:
    """The probes of a study."""

    probes: Mapping[str, Probe] = field(default_factory=dict[str, Probe])
    """By model: of all models, or of none."""
    facts: ProbeFacts | None = None
    why_none: str = ""


@contextmanager
def opened_probes(
    checkpoints: Mapping[str, Checkpoint], *, log_dir: Path, promised_bytes: int
) -> Generator[Probing]:
    """Get ready to probe all `checkpoints` (model -> weights); on leaving, end what was started.

    No process starts before its first question. Models with the same weights share one. They leave
    alone the GPUs and the RAM that servers hold, and the `promised_bytes` of RAM beside that.
    """
    try:
        python, plan = _prepared(checkpoints, promised_bytes)
    except NotReadyError as error:
        yield Probing(why_none=str(error))
        return
    with ExitStack() as stack:
        by_weights: dict[str, Probe] = {}
        for model, checkpoint in checkpoints.items():
            if checkpoint.fingerprint not in by_weights:
                start = Start(
                    python=python.python,
                    checkpoint=_directory(model, checkpoint),
                    dtype=plan.dtype,
                    n_threads=max(1, n_cores() // 2),
                    log=log_dir / f"probe-{model}.log",
                )
                by_weights[checkpoint.fingerprint] = stack.enter_context(TorchProbe(start))
        yield Probing(
            probes={model: by_weights[each.fingerprint] for model, each in checkpoints.items()},
            facts=ProbeFacts(
                dtype=plan.dtype, torch=python.torch, transformers=python.transformers
            ),
        )


def _prepared(
    checkpoints: Mapping[str, Checkpoint], promised_bytes: int
) -> tuple[Interpreter, ProbePlan]:
    """Return what runs the probes and how.

    Raises:
        NotReadyError: there is nothing that can run all of them; says why, and the remedy.
    """
    for model, checkpoint in checkpoints.items():
        _directory(model, checkpoint)
    python = find_interpreter(candidates())
    if python is None:
        raise NotReadyError(_NO_INTERPRETER)
    for model, checkpoint in checkpoints.items():
        _check(model, checkpoint, python)
    distinct = {each.fingerprint: each for each in checkpoints.values()}.values()
    hardware = _beside_servers(promised_bytes)
    plan = plan_probes(distinct, hardware)
    if plan is None:
        free = hardware.host_bytes - hardware.host_others_bytes
        raise NotReadyError(
            f"copies of the weights need {least_bytes(distinct, hardware) / 1e9:.1f} GB of free"
            f" RAM, and {free / 1e9:.1f} GB are free."
        )
    return python, plan


def _beside_servers(promised_bytes: int) -> HardwareProfile:
    """Return this machine, with what its servers hold or may still take as in use."""
    found = this_cpu()
    taken = found.host_others_bytes + mapped_bytes() + promised_bytes
    return msgspec.structs.replace(found, host_others_bytes=min(taken, found.host_bytes))


def candidates() -> Generator[Path]:
    """Yield the Pythons that may run a probe.

    Our own, then those of the installed builds of vLLM, the CPU build first.
    """
    yield Path(sys.executable)
    cache = read_settings().cache_dir
    for build in sorted(BUILDS.values(), key=lambda each: each.name != "cpu"):
        directory = directory_of(build, cache)
        if read_stamp(directory):
            yield python_of(directory)


def _directory(model: str, checkpoint: Checkpoint) -> Path:
    """Return where the weights lie on this machine.

    Raises:
        NotReadyError: they lie elsewhere; says how to get them.
    """
    if checkpoint.directory is None:
        repo, _, revision = checkpoint.origin.partition("@")
        raise NotReadyError(
            f"a copy of the weights of {model} is needed on this machine. Fetch it with"
            f" `hf download {repo} --revision {revision}`; it is found by itself."
        )
    return checkpoint.directory.resolve()


def _check(model: str, checkpoint: Checkpoint, python: Interpreter) -> None:
    directory, why_not = _directory(model, checkpoint), python.why_not(checkpoint.config)
    if why_not:
        raise NotReadyError(f"{model} has no probe: {why_not}.")
    if not (directory / "tokenizer.json").is_file():
        raise NotReadyError(f"{directory} has no tokenizer.json, which {model} reads with.")
