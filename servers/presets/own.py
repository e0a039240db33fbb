"""A user's own model: a local directory or GGUF file, a hub id, or a TOML file that names one."""

import re
import tomllib
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import msgspec

from engine.errors import NotReadyError, UsageError
from servers.model import Architecture, Count, Method, ModelPreset, Precision, Variant
from servers.presets.catalogue import find_preset
from servers.presets.config import preset_from_config
from servers.presets.gguf import models_in, preset_from_gguf
from servers.weights import is_known, n_parameters

Fetch = Callable[[str], bytes]
"""Hub id -> bytes of its config.json."""

_WEIGHT_FILES = ("*.safetensors", "*.bin")
_INDEX = "model.safetensors.index.json"
_WHOLE = "consolidated"
"""How Mistral's own program calls its copy of weights that lie beside it once more."""
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""As the name of an endpoint: it names an arm, and files of a run."""
_MOST_LETTERS = 64


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


class _FileVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    precision: Precision
    method: Method
    repo: str

    def __post_init__(self) -> None:
        if not is_known(self.method, self.precision):
            raise ValueError(f"{self.method} weights are never of precision {self.precision!r}")


class _PresetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a preset's TOML file may say."""

    model: str
    """Hub id, or a directory (relative to the file)."""
    key: str | None = None
    title: str | None = None
    licence: str | None = None
    context_tokens: Count | None = None
    architecture: Architecture | None = None
    """Given, no config.json is read."""
    variants: tuple[_FileVariant, ...] = ()


def preset_from_path(path: Path) -> ModelPreset:
    """Read the preset of a checkpoint on disk; its weights are as large as its files.

    `path`: a GGUF file, or a directory with a checkpoint of Hugging Face's kind, GGUF files, or
    both: then a machine without a GPU serves the one, and a GPU the other.

    Raises:
        UsageError: the path, its config.json or its weights are missing or damaged, or there are
            several GGUF files and nothing else.
    """
    if path.suffix == ".gguf":
        return preset_from_gguf(path, key=_key(path.stem))
    if not path.is_dir():
        raise UsageError(
            f"model: there is no directory {str(path)!r}. Check the path, or name a preset "
            "(`presets` lists them)."
        )
    if (path / "config.json").is_file():
        return _beside(models_in(path), _preset_of_checkpoint(path))
    return preset_from_gguf(_only(models_in(path), path), key=_key(path.resolve().name))


def _beside(files: Sequence[Path], preset: ModelPreset) -> ModelPreset:
    """Return the preset of a checkpoint with what the GGUF files beside it add."""
    if not files:
        return preset
    if len(files) > 1:
        note = (
            f"its GGUF files are left out, because there are several ({_names(files)}): name the "
            "one that is to be served by its path"
        )
        return msgspec.structs.replace(preset, notes=(*preset.notes, note))
    other = preset_from_gguf(files[0], key=preset.key)
    return msgspec.structs.replace(preset, variants=(*preset.variants, *other.variants))


def _only(files: Sequence[Path], directory: Path) -> Path:
    if not files:
        raise UsageError(
            f"model: {str(directory)!r} has no config.json and no .gguf file, so it is no "
            "checkpoint that is known here. Download the whole model, or name a preset "
            "(`presets` lists them)."
        )
    if len(files) > 1:
        raise UsageError(
            f"model: {str(directory)!r} has several GGUF files: {_names(files)}. Name the one that "
            "is to be served by its path."
        )
    return files[0]


def _names(files: Sequence[Path]) -> str:
    return ", ".join(file.name for file in files)


def _preset_of_checkpoint(directory: Path) -> ModelPreset:
    config = directory / "config.json"
    return preset_from_config(
        config.read_bytes(),
        key=_key(directory.resolve().name),
        repo=str(directory.resolve()),
        origin=str(config),
        weights_bytes=_weights_on_disk(directory),
    )


def preset_from_hub(repo: str, fetch: Fetch) -> ModelPreset:
    """Read the preset of a model on the hub from its config.json.

    Raises:
        NotReadyError: the file cannot be had.
        UsageError: the file is not what is expected.
    """
    return preset_from_config(
        fetch(repo), key=_key(repo.rpartition("/")[2]), repo=repo, origin=f"config.json of {repo}"
    )


def preset_from_file(path: Path, fetch: Fetch) -> ModelPreset:
    """Read a preset from a TOML file.

    Raises:
        UsageError: the file is missing or no TOML, a field is unknown or has no value that it may
            have.
        NotReadyError: it names a hub id that cannot be looked up.
    """
    given = _read(path)
    _check_key(given.key, path)
    preset = _described(given, path, fetch)
    changes: dict[str, object] = {
        name: value
        for name in ("key", "title", "licence")
        if (value := getattr(given, name)) is not None
    }
    if given.context_tokens:
        changes["architecture"] = msgspec.structs.replace(
            preset.architecture, context_tokens=given.context_tokens
        )
    if given.variants:
        changes["variants"] = tuple(_variant(one) for one in given.variants)
    return msgspec.structs.replace(preset, source=str(path), **changes)


def _check_key(key: str | None, path: Path) -> None:
    if key is not None and not _KEY.fullmatch(key):
        raise UsageError(
            f"{path}: key is {key!r}, but may have only letters, digits and . _ - (64 at most), "
            "and begins with a letter or a digit: it names the arm and its files. Write another."
        )


def fetch_config(repo: str) -> bytes:
    """Read config.json of a hub repository through huggingface_hub.

    Raises:
        NotReadyError: the package is not installed, or the hub does not give the file.
    """
    remedy = (
        "Name a preset (`presets` lists them) or a local directory, or download the model first."
    )
    try:
        hub = import_module("huggingface_hub")
    except ImportError as error:
        raise NotReadyError(
            f"model {repo!r}: huggingface_hub is needed to look it up and is not installed "
            f"(pip install huggingface_hub). {remedy}"
        ) from error
    try:
        return Path(hub.hf_hub_download(repo, "config.json")).read_bytes()
    except Exception as error:
        raise NotReadyError(
            f"model {repo!r}: its config.json could not be had from the hub ({error}). Check the "
            f"name and the network; a gated model needs HF_TOKEN and its licence accepted. {remedy}"
        ) from error


def _described(given: _PresetFile, path: Path, fetch: Fetch) -> ModelPreset:
    shipped = find_preset(given.model)
    if shipped:
        return shipped
    if given.architecture:
        return _from_architecture(given, given.architecture)
    directory = path.parent / given.model
    if directory.is_dir() or directory.suffix == ".gguf":
        return preset_from_path(directory)
    return preset_from_hub(given.model, fetch)


def _from_architecture(given: _PresetFile, shape: Architecture) -> ModelPreset:
    return ModelPreset(
        key=_key(given.model.rpartition("/")[2]),
        title=given.model,
        repo=given.model,
        architecture=shape,
        n_parameters=n_parameters(shape),
        licence="see the model's own page",
        variants=(Variant(precision="fp16", method=Method.PLAIN, repo=given.model),),
        source=given.model,
    )


def _variant(one: _FileVariant) -> Variant:
    return Variant(precision=one.precision, method=one.method, repo=one.repo)


def _read(path: Path) -> _PresetFile:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), _PresetFile)
    except FileNotFoundError as error:
        raise UsageError(f"model: there is no file {str(path)!r}.") from error
    except (OSError, ValueError) as error:  # TOML, Unicode and validation errors are ValueErrors
        raise UsageError(
            f"{path}: {error}. A preset file names `model` (a hub id or a directory) and may set "
            "key, title, licence, context_tokens, architecture and variants."
        ) from error


def _weights_on_disk(directory: Path) -> int:
    for files in (_shards(directory), *map(directory.glob, _WEIGHT_FILES)):
        sizes = {file: file.stat().st_size for file in files}
        others = [size for file, size in sizes.items() if not file.name.startswith(_WHOLE)]
        if total := sum(others or sizes.values()):
            return total
    raise UsageError(
        f"model: {str(directory)!r} has a config.json but no weights (*.safetensors). Download the "
        "whole model."
    )


def _shards(directory: Path) -> list[Path]:
    """Return the files that an index names; none where there is no index."""
    index = directory / _INDEX
    if not index.is_file():
        return []
    try:
        names = msgspec.json.decode(index.read_bytes(), type=_Index).weight_map.values()
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"{index} cannot be read: {error}. Download the model again.") from error
    return [directory / name for name in dict.fromkeys(names)]


def _key(name: str) -> str:
    """Turn a name into a key: lower case, no characters that a path or a URL would mind."""
    letters = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")
    return letters[:_MOST_LETTERS] or "model"
