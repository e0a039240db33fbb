"""A model that llama.cpp serves: one GGUF file, or a directory, and the two that ship.

A directory holds the weights twice, for two readers: `model.gguf` is what llama.cpp serves, and
`config.json` with `model.safetensors` is what introspection reads, and what vLLM serves.
"""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec

from engine.errors import NotReadyError
from servers.embedded.fetch import parts_of
from servers.embedded.files import DamagedFileError, check_json, check_safetensors
from servers.embedded.gguf import check_gguf

_MODELS = Path(__file__).parent / "models"
TINY_KEYS = ("tiny-s", "tiny-m")
_CHECKS = {
    "config.json": check_json,
    "tokenizer.json": check_json,
    "tokenizer_config.json": check_json,
    "model.safetensors": check_safetensors,
    "model.gguf": check_gguf,
}


class EmbeddedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint that llama.cpp can serve on this machine."""

    key: str
    """Name of the arm, and what the server calls the model."""
    directory: Path
    """Holds model.gguf, config.json, model.safetensors and the tokenizer's files; or `file`."""
    file: Path | None = None
    """A GGUF file that is served by itself, without a checkpoint to look into."""
    window_tokens: int
    """Context of one conversation."""
    n_threads: int = 1
    """Threads that compute. More than one slows a tiny model down: they wait for each other."""
    n_slots: int | None = None
    """Replies written at once; None: as many as suit a tiny model."""

    @property
    def gguf(self) -> Path:
        """The file that is served."""
        return self.file or self.directory / "model.gguf"

    @property
    def checkpoint(self) -> str | None:
        """Directory of weights that can be looked into."""
        return None if self.file else str(self.directory)


def tiny_models() -> tuple[EmbeddedModel, ...]:
    """Return the models that ship with the project, the smaller one first.

    Raises:
        NotReadyError: a file is missing or damaged.
    """
    return tuple(load_model(key, directory_of(key)) for key in TINY_KEYS)


def directory_of(key: str) -> Path:
    """Return where the files of a model that ships are."""
    return _MODELS / key


def load_model(key: str, directory: Path) -> EmbeddedModel:
    """Check the files in `directory` and return the model that they are.

    Raises:
        NotReadyError: a file is missing or damaged.
    """
    check_files(key, directory)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    window_tokens = config.get("max_position_embeddings")
    if not isinstance(window_tokens, int) or window_tokens < 1:
        file = directory / "config.json"
        raise _not_ready(key, file, f"max_position_embeddings is {window_tokens!r}")
    return EmbeddedModel(key=key, directory=directory, window_tokens=window_tokens)


def check_model(model: EmbeddedModel) -> None:
    """Check what is served of `model`, by the headers of its files; no weight is read.

    Raises:
        NotReadyError: names the first file that is missing or damaged, and the remedy.
    """
    if model.file is None:
        check_files(model.key, model.directory)
    else:
        for part in parts_of(model.file):
            _check(model.key, part, check_gguf)


def check_files(key: str, directory: Path) -> None:
    """Check that all files are there and whole, by their headers; no weight is read.

    Raises:
        NotReadyError: names the first file that is missing or damaged, and the remedy.
    """
    for name, check in _CHECKS.items():
        _check(key, directory / name, check)


def _check(key: str, file: Path, check: Callable[[Path], None]) -> None:
    try:
        check(file)
    except FileNotFoundError:
        raise _not_ready(key, file, "the file is missing") from None
    except (DamagedFileError, OSError) as error:
        raise _not_ready(key, file, str(error)) from error


def _not_ready(key: str, file: Path, why: str) -> NotReadyError:
    if file.is_relative_to(_MODELS):
        remedy = f"install the project again, or in a clone: git checkout -- {str(file)!r}"
    else:
        remedy = "write the checkpoint again, or name another directory"
    return NotReadyError(
        f"The model {key!r} cannot be served: {str(file)!r}: {why}. Remedy: {remedy}."
    )
