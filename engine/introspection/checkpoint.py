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
from engine.introspection.encodings import Encoding, Plain, blocks, sample
from engine.introspection.names import in_model_order
from engine.introspection.quantised import encodings_of, scheme_of
from engine.introspection.safetensors import Floats, Tensor, read_header

_REMEDY = "Fetch the checkpoint again, or name another directory with --checkpoint."
_SAMPLE_BYTES = 1 << 16
_INDEX = "model.safetensors.index.json"
_WHOLE = "model.safetensors"
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight")
_HEAD = "lm_head.weight"


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of the model, under the name that torch gives it."""

    name: str
    encoding: Encoding
    shared_with: str | None = None
    """Name of the parameter whose values this one uses (tied embeddings)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in torch: (outputs, inputs) of a linear layer."""
        return self.encoding.shape

    @property
    def dtype(self) -> str:
        """Torch's name of the stored type, e.g. "bfloat16"."""
        return self.encoding.dtype

    @property
    def is_dequantised(self) -> bool:
        """True if the values are computed from fewer bits and scales."""
        return not isinstance(self.encoding, Plain)

    @property
    def n_values(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def owner(self) -> str:
        """Name of the parameter that stores the values: its own, if they are not shared."""
        return self.shared_with or self.name


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Configuration and parameters of one model, read from its directory."""

    path: Path
    config: Mapping[str, object]
    parameters: Mapping[str, Parameter]
    """In the order of the model: embedding, layers, norm, head."""
    fingerprint: str
    """Hash of configuration, headers, sizes and samples of the values; the same on any machine."""

    @property
    def n_values(self) -> int:
        """Number of weights, those that are shared counted once."""
        return sum(each.n_values for each in self.parameters.values() if not each.shared_with)

    def blocks(self, name: str) -> Iterator[Floats]:
        """Yield the values of parameter `name` as flat float32 arrays, row-major, bounded."""
        return blocks(self.parameters[name].encoding)

    def sample(self, name: str, *, most: int) -> Floats:
        """Return about `most` values of parameter `name`: those of evenly spaced rows."""
        return sample(self.parameters[name].encoding, most=most)


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
    whole = root / _WHOLE
    files = [whole] if whole.is_file() else sorted(root.glob("*.safetensors"))
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
        name: Parameter(name=name, encoding=encoding)
        for name, encoding in encodings_of(tensors, scheme_of(config)).items()
    }
    found |= _tied(found, config)
    return {name: found[name] for name in in_model_order(found)}


def _tied(found: Mapping[str, Parameter], config: Mapping[str, object]) -> dict[str, Parameter]:
    """Return the output head that uses the values of the input embedding, if there is one."""
    is_tied = bool(config.get("tie_word_embeddings", True))
    embeddings = [each for name, each in found.items() if name.endswith(_EMBEDDINGS)]
    if not is_tied or _HEAD in found or len(embeddings) != 1:
        return {}
    source = embeddings[0]
    return {_HEAD: msgspec.structs.replace(source, name=_HEAD, shared_with=source.name)}


def _sample(path: Path) -> str:
    """Return a hash of the first, middle and last bytes of a file, cheap at any size."""
    digest = hashlib.blake2b(digest_size=16)
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        for offset in (0, n_bytes // 2, max(0, n_bytes - _SAMPLE_BYTES)):
            file.seek(offset)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _fingerprint(config: Mapping[str, object], tensors: Mapping[str, Tensor]) -> str:
    paths = sorted({tensor.path for tensor in tensors.values()})
    described = {
        "config": config,
        "tensors": [(t.name, t.shape, t.stored, t.offset) for t in tensors.values()],
        "files": [(path.name, path.stat().st_size, _sample(path)) for path in paths],
    }
    return hashlib.blake2b(
        msgspec.json.encode(described, order="sorted"), digest_size=16
    ).hexdigest()
