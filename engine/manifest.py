"""What makes a run reproducible: written once, atomically, before the first event."""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.endpoint import is_base_url
from engine.errors import RunError, UsageError
from engine.journal import write_durably
from engine.phase import Phase
from engine.transcript import NAME

FORMAT = 1
"""Version of the layout of a run directory."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class _Format(BaseModel):
    """What a manifest of any version says."""

    format: int = Field(default=FORMAT, ge=1)


class PriceList(_Value):
    """What a million tokens cost at an endpoint, see `engine.endpoint.Prices`."""

    prompt: float
    completion: float
    cached: float | None = None
    currency: str = "USD"


class ModelFacts(_Value):
    """What the checkpoint of an arm says, see `engine.introspection.facts`."""

    figures: dict[str, int | float | str | bool | None]
    names: tuple[str, ...]


class Arm(_Value):
    """One model of the study and where it answers: `engine.endpoint.Endpoint`, and its weights."""

    model: str = Field(pattern=f"^{NAME}$")
    url: str
    served_model: str
    key_variable: str
    checkpoint: str | None
    """Directory, or repository of the hub with the commit that was read: OWNER/NAME@COMMIT."""
    quantization: str | None = None
    """How the server has quantised these weights; None: it serves them as they are stored."""
    checkpoint_fingerprint: str | None
    """Hash of configuration, headers and samples of the weights, see
    `engine.introspection.checkpoint`; None when they cannot be read."""
    facts: ModelFacts | None = None
    """None: the checkpoint cannot be read."""
    max_model_len: int | None
    others: tuple[str, ...] = ()
    requests_per_s: float | None
    headers: dict[str, str] = {}
    """With the names of variables in place of their values."""
    ca_file: str | None = None
    is_tls_verified: bool = True
    proxy: str | None = None
    prices: PriceList | None = None
    has_system_role: bool = True
    """False: what a system message would say opened the first user message, in every arm."""
    is_given: bool = False
    """The endpoint was the user's; else a server was started for the run."""
    twin_of: str | None = None
    """The arm whose model it is once more, asked at the same place: what these two differ by is
    what the server scatters. None: it is no twin."""


class Design(_Value):
    """What was settled about the comparison before the first turn."""

    primary: str = "error_rate"
    """The measure that the verdict is about, see `engine.compare.catalogue`."""
    until_mde: float | None = Field(default=None, gt=0)
    """Smallest difference of it that is to be found: the number of replicates follows from how far
    those of the first stage scatter. None: their number was given."""
    max_replicates: int = 100
    """Of both stages together."""


class DocumentSet(_Value):
    """The documents that phases with heritage granted."""

    directory: str | None
    """None: a set that ships."""
    names: tuple[str, ...]
    """In reading order."""
    fingerprint: str
    """Hash of all texts."""


class ForkFacts(_Value):
    """Which run the investigations of this one branched off, and where."""

    run: str
    at: str
    """Name of the experiment before which, or number of the turns after which."""


class LeakFacts(_Value):
    """Something that a phase shows and must not, see `engine.purity.Leak`."""

    place: str
    experiment: str
    found: str
    excerpt: str


class Certificate(_Value):
    """What was looked for in all that a phase shows before the first turn, and what was found."""

    terms: tuple[str, ...]
    """Words that only conditions with documents have."""
    n_passages: int
    """Passages of documents that were looked for."""
    scanned: dict[str, int]
    """Place -> characters."""
    leaks: tuple[LeakFacts, ...]


class SandboxFacts(_Value):
    """How model code was held."""

    tier: str
    walls: tuple[str, ...]
    limits: dict[str, float]
    """Limits of one workspace, see `engine.sandbox.Limits`."""


class ProbeFacts(_Value):
    """How probes computed; the same for every arm."""

    dtype: str
    """Number format of their weights and of what they compute."""
    torch: str
    transformers: str
    """Versions."""


class LaunchFacts(_Value):
    """How servers were asked for: enough to start them again."""

    names: dict[str, str]
    """By model, what it was called: a preset, a hub id, or a path in full."""
    hardware: str | None
    quantization: str | None
    vllm: str | None


class Manifest(_Value):
    """The study as it was asked for, and the conditions it ran under."""

    format: int = FORMAT
    run: str
    started: float
    """Seconds since the epoch."""
    seed: int
    replicates: int
    """Those of the first stage, where there are two, see `design`."""
    design: Design = Design()
    concurrency: int
    """Investigations at once, per model."""
    serving: str
    """How the models were served: "embedded", "vllm", "endpoint", or "endpoint+" one of these."""
    schedule: str = "together"
    """"sleep" and "serial": the arms took turns, so their speeds are isolated from one another;
    "together": arms on one machine shared it."""
    launch: LaunchFacts | None = None
    """None: endpoints were given."""
    arms: tuple[Arm, ...]
    phases: tuple[Phase, ...]
    capabilities: tuple[str, ...]
    """Introspection that every arm could have been granted."""
    shares_prefix: bool = False
    """Experiments that phases have in common were carried out once per model and replicate."""
    fork: ForkFacts | None = None
    """None: all investigations are planned from models, phases and replicates."""
    probe: ProbeFacts | None = None
    """None: no arm had one."""
    purity: dict[str, Certificate] = {}
    """By the key of a phase."""
    documents: dict[str, DocumentSet] = {}
    """By the set that a phase names, "true" or "wrong"; only those that some phase grants."""
    sandbox: SandboxFacts
    versions: dict[str, str]
    """Package -> version."""
    git_revision: str | None
    machine: dict[str, str | int]

    def names(self) -> frozenset[str]:
        """Return the names that were chosen for this run and its parts, which are public."""
        return frozenset(
            (
                self.run,
                *(arm.model for arm in self.arms),
                *(phase.key for phase in self.phases),
                *(stage.name for phase in self.phases for stage in phase.experiments),
                *self.capabilities,
            )
        )


def write_manifest(run_dir: Path, manifest: Manifest) -> None:
    """Write manifest.json so that it is there whole or not at all."""
    write_atomically(run_dir / "manifest.json", manifest.model_dump_json(indent=2).encode())


def read_manifest(run_dir: Path) -> Manifest:
    """Return the manifest of a run.

    Raises:
        UsageError: the directory is no run, its manifest is damaged, or a newer version wrote it.
    """
    path = run_dir / "manifest.json"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{run_dir}: not a run directory (no manifest.json that can be read). "
            "Name the directory that a run printed in its last line."
        ) from error
    try:
        _check_format(data, path)
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise UsageError(
            f"{path}: {_first_fault(error)}. The file is damaged, or was changed by hand: restore "
            "a copy of it."
        ) from error
    _check_addresses(manifest, path)
    return manifest


def _check_format(data: bytes, path: Path) -> None:
    """Raise UsageError if a newer version wrote it, whatever else it says."""
    written = _Format.model_validate_json(data).format
    if written > FORMAT:
        raise UsageError(
            f"{path}: written by a newer phaselab (format {written}; this one reads {FORMAT}), "
            "which must read it too. Update phaselab."
        )


def _check_addresses(manifest: Manifest, path: Path) -> None:
    """Raise UsageError if an address is none; what it is, a secret maybe, is not shown."""
    wrong = (field for field, url in _addresses(manifest) if not is_base_url(url))
    if field := next(wrong, None):
        raise UsageError(
            f"{path}: {field}: is no URL. The file is damaged, or was changed by hand: restore a "
            "copy of it."
        )


def _addresses(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for place, arm in enumerate(manifest.arms):
        yield f"arms.{place}.url", arm.url
        for number, url in enumerate(arm.others):
            yield f"arms.{place}.others.{number}", url


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}: {first['msg']}" if field else first["msg"]


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: a reader sees the old file or the new one, never a part.

    Raises:
        RunError: it cannot be written.
    """
    part = part_beside(path)
    try:
        with part.open("xb") as file:
            write_durably(file.fileno(), data)
        part.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise RunError(f"{path}: cannot be written ({error.strerror}).") from error


def part_beside(path: Path) -> Path:
    """Return where what is to replace `path` can be gathered: a name that nothing else has."""
    return path.with_name(f".{secrets.token_hex(8)}.part")


def sync_directory(folder: Path) -> None:
    """Return once the names in `folder` are on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
