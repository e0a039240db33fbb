"""What the form fields of the notebook say, as one checked value."""

from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import blake2b
from pathlib import Path

from engine.cli.compare import MAIN_PHASE
from engine.cli.console import say
from engine.cli.duration import read_duration
from engine.cli.notebook.drive import mounted
from engine.cli.notebook.machine import has_server
from engine.cli.planning import DEFAULT_MODELS
from engine.errors import UsageError
from engine.introspection.hub import parse_place
from servers.embedded.model import TINY_KEYS
from servers.model import PRECISIONS, Precision
from servers.presets import find_preset, resolve

SCRIPTS = {
    "phase1_model_comparison.py": MAIN_PHASE,
    "phase1a_no_heritage.py": "1a",
    "phase1a_research_driven.py": "1a-research",
    "phase1b_early_heritage.py": "1b",
    "phase1c_late_heritage.py": "1c",
    "phase1d_delayed_heritage.py": "1d",
    "phase1e_wrong_heritage.py": "1e",
}
"""The programs of scripts/experiments, and the phase of each."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is to be run, and where it is kept."""

    models: tuple[str, ...]
    """As the command line takes them; paths in full."""
    arms: tuple[str, ...]
    """What they are called in the run."""
    phase: str
    weights: tuple[str, ...]
    """As --checkpoint takes them; empty: those that are known of the models."""
    quantization: Precision | None
    replicates: int
    seed: int
    deadline_s: float | None
    work_dir: Path
    drive_dir: Path | None
    """Where snapshots go."""

    @property
    def run_dir(self) -> Path:
        """Directory of the run: the same choice finds its run again."""
        text = f"{self.models}{self.phase}{self.quantization}{self.replicates}{self.seed}"
        text += "".join(self.weights)
        mark = blake2b(text.encode(), digest_size=3).hexdigest()
        return self.work_dir / "runs" / f"{self.phase}-{'-'.join(self.arms)}-{mark}"

    @property
    def snapshot_dir(self) -> Path | None:
        """Where snapshots of the run go."""
        return self.drive_dir / self.run_dir.name if self.drive_dir else None


def choose(  # noqa: PLR0913 - one argument for each field of the form
    *,
    model_name: str = "Qwen/Qwen2.5-3B-Instruct",
    phase_script: str = "phase1_model_comparison.py",
    checkpoint: str = "",
    quantization: str = "auto",
    replicates: int = 1,
    seed: int = 0,
    deadline: str = "",
    drive_folder: str = "",
    work_dir: Path | None = None,
) -> Choice:
    """Check the fields of the form, and say what they mean.

    `model_name`: whatever the command line takes. A comparison takes both of its models, whatever
    it says. Where no vLLM can be started, the models that ship take the place of what needs it.
    `checkpoint`: the weights of that model, a directory or OWNER/NAME on the hub; left out where
    others take its place.

    Raises:
        UsageError: a field is wrong; it and the remedy are named.
        NotReadyError: a hub id that cannot be looked up now.
    """
    phase = _phase(phase_script)
    if replicates < 1:
        raise UsageError(f"REPLICATES is {replicates}; it is 1 or more.")
    name = model_name.strip()
    models = tuple(map(_in_full, _names(name, phase)))
    arms = tuple(resolve(model).key for model in models)
    choice = Choice(
        arms=arms,
        models=models,
        phase=phase,
        weights=_weights(checkpoint.strip(), arms, is_own=models == (_in_full(name),)),
        quantization=_precision(quantization),
        replicates=replicates,
        seed=seed,
        deadline_s=_seconds(deadline),
        work_dir=work_dir or Path.cwd(),
        drive_dir=mounted(drive_folder),
    )
    say(f"phase {phase} with {', '.join(choice.models)}; run directory: {choice.run_dir}")
    return choice


def _phase(script: str) -> str:
    if script not in SCRIPTS:
        near = get_close_matches(script, SCRIPTS, n=1, cutoff=0.3)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"PHASE_SCRIPT {script!r} is none.{hint} There are: {', '.join(SCRIPTS)}.")
    return SCRIPTS[script]


def _precision(text: str) -> Precision | None:
    if text in PRECISIONS or text == "auto":
        return None if text == "auto" else text
    raise UsageError(f"QUANTIZATION is {text!r}; it may be auto, {', '.join(PRECISIONS)}.")


def _seconds(deadline: str) -> float | None:
    try:
        return read_duration(deadline) if deadline else None
    except ValueError as error:
        raise UsageError(f"DEADLINE: {error}; empty is none.") from error


def _weights(text: str, arms: tuple[str, ...], *, is_own: bool) -> tuple[str, ...]:
    """Return what --checkpoint is given for the one model that the form names.

    `is_own`: the arm is that model; else others run in its place.
    """
    place = _place(text.removeprefix(f"{arms[0]}=")) if text else None
    if place is None:
        return ()
    if not is_own:
        say(f"CHECKPOINT is left out: it is about MODEL_NAME, and the run is {', '.join(arms)}.")
        return ()
    return (f"{arms[0]}={place}",)


def _place(text: str) -> str:
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            return str(path.resolve())
    except OSError as error:
        raise UsageError(
            f"CHECKPOINT is {text!r}, which cannot be looked at ({error.strerror}). Name a "
            "directory that you can read."
        ) from error
    if parse_place(text):
        return text
    raise UsageError(
        f"CHECKPOINT is {text!r}, which is no directory, and no OWNER/NAME on the hub. Leave it "
        "empty where the weights of the model are known."
    )


def _names(name: str, phase: str) -> tuple[str, ...]:
    if phase == MAIN_PHASE:
        return DEFAULT_MODELS if has_server() else TINY_KEYS
    return (name,) if _needs_no_vllm(name) or has_server() else TINY_KEYS[-1:]


def _needs_no_vllm(name: str) -> bool:
    """Whether `name` says that llama.cpp is to serve it."""
    return name in TINY_KEYS or name.endswith(".gguf")


def _in_full(name: str) -> str:
    """Return `name` so that it means the same model from everywhere."""
    if preset := find_preset(name):
        return preset.key
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() and name not in TINY_KEYS else name
