"""The served checkpoint as it lies on disk: its configuration and its parameters by name.

Nothing of the weights is held: values are read in blocks when a question needs them.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import msgspec

from engine.errors import NotReadyError
from engine.introspection.names import in_model_order
from engine.introspection.safetensors import Floats, Tensor, float_blocks, read_header

_REMEDY = "Fetch the checkpoint again, or name another directory with --checkpoint."
_INDEX = "model.safetensors.index.json"


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of the model, under the name that torch gives it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """Torch's name of the stored type, e.g. "bfloat16"."""
    tensor: Tensor
    shared_with: str | None = None
    """Name of the parameter whose values this one uses (tied embeddings)."""

    @property
    def n_values(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Configuration and parameters of one model, read from its directory."""

    path: Path
    config: Mapping[str, object]
    parameters: Mapping[str, Parameter]
    """In the order of the model: embedding, layers, norm, head."""
    fingerprint: str
    """Hash of the configuration, the headers and the files' sizes and times; not of the values."""

    @property
    def n_values(self) -> int:
        """Number of weights, those that are shared counted once."""
        return sum(each.n_values for each in self.parameters.values() if not each.shared_with)

    def blocks(self, name: str) -> Iterator[Floats]:
        """Yield the values of parameter `name` as flat float32 arrays, row-major, bounded."""
        return float_blocks(self.parameters[name].tensor)


def open_checkpoint(path: Path | str) -> Checkpoint:
    """Read configuration and headers of the checkpoint in directory `path`; cheap at any size.

    Raises:
        NotReadyError: a file is missing, truncated or not valid; names the file and the remedy.
    """
    root = Path(path)
    if not root.is_dir():
        raise NotReadyError(f"There is no checkpoint directory {root}. {_REMEDY}")
    config = _read_object(root / "config.json")
    text = config.get("text_config")
    if isinstance(text, dict):
        config = {**config, **cast("dict[str, object]", text)}
    tensors = _read_tensors(root)
    return Checkpoint(
        path=root,
        config=config,
        parameters=_parameters(tensors, config),
        fingerprint=_fingerprint(config, tensors),
    )


def _read_object(path: Path) -> dict[str, object]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, object])
    except OSError as error:
        raise NotReadyError(f"Cannot read {path}: {error.strerror}. {_REMEDY}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotReadyError(f"{path} is not a JSON object ({error}). {_REMEDY}") from error


def _read_tensors(root: Path) -> dict[str, Tensor]:
    if (root / _INDEX).is_file():
        return _read_shards(root)
    files = sorted(root.glob("*.safetensors"))
    if not files:
        raise NotReadyError(f"There is no safetensors file in {root}. {_REMEDY}")
    return {name: tensor for file in files for name, tensor in read_header(file).items()}


def _read_shards(root: Path) -> dict[str, Tensor]:
    index = root / _INDEX
    try:
        shard_of = msgspec.convert(_read_object(index).get("weight_map"), dict[str, str])
    except msgspec.ValidationError as error:
        raise NotReadyError(f"{index} has no valid weight_map ({error}). {_REMEDY}") from error
    shards = {shard: read_header(root / shard) for shard in sorted(set(shard_of.values()))}
    for name, shard in shard_of.items():
        if name not in shards[shard]:
            raise NotReadyError(
                f"{index} places {name!r} in {shard}, but it is not there. {_REMEDY}"
            )
    return {name: shards[shard][name] for name, shard in shard_of.items()}


def _parameters(
    tensors: Mapping[str, Tensor], config: Mapping[str, object]
) -> dict[str, Parameter]:
    found = {
        name: Parameter(name=name, shape=tensor.shape, dtype=tensor.dtype, tensor=tensor)
        for name, tensor in tensors.items()
    }
    found |= _tied(found, config)
    return {name: found[name] for name in in_model_order(found)}


def _tied(found: Mapping[str, Parameter], config: Mapping[str, object]) -> dict[str, Parameter]:
    """Return the output head that uses the values of the input embedding, if there is one."""
    source = found.get("model.embed_tokens.weight")
    if source is None or "lm_head.weight" in found or not config.get("tie_word_embeddings"):
        return {}
    name = "lm_head.weight"
    return {name: msgspec.structs.replace(source, name=name, shared_with=source.name)}


def _fingerprint(config: Mapping[str, object], tensors: Mapping[str, Tensor]) -> str:
    files = {tensor.path.name: tensor.path.stat() for tensor in tensors.values()}
    described = {
        "config": config,
        "tensors": [(t.name, t.shape, t.stored, t.offset) for t in tensors.values()],
        "files": [(name, stat.st_size, stat.st_mtime_ns) for name, stat in files.items()],
    }
    return hashlib.blake2b(
        msgspec.json.encode(described, order="sorted"), digest_size=16
    ).hexdigest()
