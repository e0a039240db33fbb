"""The served checkpoint as it is stored: its configuration and its parameters by name.

Nothing of the weights is held: values are read in blocks when a question needs them.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import msgspec

from engine.errors import NotReadyError
from engine.introspection.encodings import Encoding, Implied, Plain, blocks, sample
from engine.introspection.files import Directory, File, Folder
from engine.introspection.implied import implied
from engine.introspection.names import in_model_order
from engine.introspection.quantised import encodings_of, scheme_of
from engine.introspection.safetensors import Floats, Tensor, UnreadableError, read_header

_REMEDY = "Fetch the checkpoint again, or name another directory with --checkpoint."
_SAMPLE_BYTES = 1 << 16
_OF_TENSOR_BYTES = 1 << 12
_MOST_TENSORS = 512
"""Small reads for a fingerprint: all tensors of most models, and of others evenly spaced ones."""
_CONFIG = "config.json"
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
        return not isinstance(self.encoding, Plain | Implied)

    @property
    def n_values(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def owner(self) -> str:
        """Name of the parameter that stores the values: its own, if they are not shared."""
        return self.shared_with or self.name


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Configuration and parameters of one model, read from where they lie."""

    origin: str
    """Directory in full, or hub repository and revision: the same from everywhere."""
    directory: Path | None
    """The directory of this machine that has all of it, where there is one."""
    config: Mapping[str, object]
    parameters: Mapping[str, Parameter]
    """In the order of the model: embedding, layers, norm, head. Empty where not even names and
    shapes are known."""
    fingerprint: str
    """Hash of configuration, headers, sizes and samples of the files; the same on any machine.

    Where the weights lie in a directory, ":" and a hash of samples of the tensors follow: over the
    hub they would cost a request each. See `is_same`."""
    why_no_values: str = ""
    """Why the values of the parameters cannot be read; empty if they can."""
    served_as: str | None = None
    """Quantisation in which a server has these weights, where they are stored otherwise."""

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
        NotReadyError: the configuration is missing, or a file is truncated or not valid; names the
            file and the remedy.
    """
    directory = Path(path)
    if not is_directory(directory):
        raise NotReadyError(f"There is no checkpoint directory {directory}. {_REMEDY}")
    return read_checkpoint(Directory(directory.absolute()))


def is_directory(path: Path) -> bool:
    """Return whether a checkpoint can lie in `path`.

    Raises:
        NotReadyError: it may not be looked at.
    """
    try:
        return path.is_dir()
    except OSError as error:
        problem = f"Cannot look at the checkpoint directory {path}: {error.strerror or error}"
        raise NotReadyError(f"{problem}. {_REMEDY}") from error


def read_checkpoint(folder: Folder) -> Checkpoint:
    """Read configuration and headers of the checkpoint in `folder`.

    Where no weights are, or none that can be read, names and shapes are those that the
    configuration implies.

    Raises:
        NotReadyError: as `open_checkpoint`.
    """
    try:
        return _read(folder)
    except OSError as error:
        problem = f"Cannot read {folder.origin}: {error.strerror or error}"
        raise NotReadyError(f"{problem}. {_REMEDY}") from error
    except RecursionError as error:
        raise NotReadyError(f"A file in {folder.origin} is nested too deep. {_REMEDY}") from error


def _read(folder: Folder) -> Checkpoint:
    config = _read_config(folder)
    try:
        tensors = _read_tensors(folder)
        parameters = _parameters(encodings_of(tensors, scheme_of(config)), config)
        why_no_values = ""
    except UnreadableError as error:
        tensors, parameters = {}, _parameters(implied(config), config)
        why_no_values = str(error)
    return Checkpoint(
        origin=folder.origin,
        directory=folder.directory,
        config=config,
        parameters=parameters,
        fingerprint=_fingerprint(config, tensors, is_near=folder.directory is not None),
        why_no_values=why_no_values,
    )


def _read_config(folder: Folder) -> dict[str, object]:
    config = _read_object(folder, _CONFIG)
    text = config.get("text_config")
    return {**config, **cast("dict[str, object]", text)} if isinstance(text, dict) else config


def _read_object(folder: Folder, name: str) -> dict[str, object]:
    file = _found(folder, name)
    try:
        content = file.read(0, file.n_bytes).tobytes()
        return msgspec.json.decode(content, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotReadyError(f"{file.place} is not a JSON object ({error}). {_REMEDY}") from error


def _found(folder: Folder, name: str) -> File:
    try:
        return folder.file(name)
    except OSError as error:
        problem = f"Cannot read {folder.origin}/{name}: {error.strerror or error}"
        raise NotReadyError(f"{problem}. {_REMEDY}") from error


def _read_tensors(folder: Folder) -> dict[str, Tensor]:
    names = folder.names()
    if _INDEX in names:
        return _read_shards(folder)
    stored = [name for name in names if name.endswith(".safetensors")]
    if not stored:
        raise UnreadableError(f"there is no safetensors file in {folder.origin}")
    files = [_WHOLE] if _WHOLE in stored else stored
    found = {name: tensor for file in files for name, tensor in _header(folder, file).items()}
    if not found:
        raise UnreadableError(f"there is no tensor in {', '.join(files)} of {folder.origin}")
    return found


def _header(folder: Folder, name: str) -> dict[str, Tensor]:
    return read_header(_found(folder, name))


def _read_shards(folder: Folder) -> dict[str, Tensor]:
    index = f"{folder.origin}/{_INDEX}"
    try:
        shard_of = msgspec.convert(_read_object(folder, _INDEX).get("weight_map"), dict[str, str])
    except msgspec.ValidationError as error:
        raise NotReadyError(f"{index} has no valid weight_map ({error}). {_REMEDY}") from error
    shards = {shard: _header(folder, shard) for shard in sorted(set(shard_of.values()))}
    for name, shard in shard_of.items():
        if name not in shards[shard]:
            raise NotReadyError(
                f"{index} places {name!r} in {shard}, but it is not there. {_REMEDY}"
            )
    return {name: shards[shard][name] for name, shard in shard_of.items()}


def _parameters(
    encodings: Mapping[str, Encoding], config: Mapping[str, object]
) -> dict[str, Parameter]:
    found = {name: Parameter(name=name, encoding=each) for name, each in encodings.items()}
    found |= _tied(found, config)
    return {name: found[name] for name in in_model_order(found)}


def _tied(found: Mapping[str, Parameter], config: Mapping[str, object]) -> dict[str, Parameter]:
    """Return the output head that uses the values of the input embedding, if there is one.

    A head that is stored counts where the configuration says nothing; a model that is said to be
    tied does not load it.
    """
    heads = [name for name in found if f".{name}".endswith(f".{_HEAD}")]
    said = config.get("tie_word_embeddings")
    is_tied = not heads if said is None else bool(said)
    embeddings = [each for name, each in found.items() if name.endswith(_EMBEDDINGS)]
    if not is_tied or len(embeddings) != 1:
        return {}
    source = embeddings[0]
    name = heads[0] if heads else _head_of(source.name)
    return {name: msgspec.structs.replace(source, name=name, shared_with=source.name)}


def _head_of(embedding: str) -> str:
    """Return the name of the output head: it lies beside the body, wherever that is."""
    before, body, _ = f".{embedding}".partition(".model.")
    return f"{before}.{_HEAD}".removeprefix(".") if body else _HEAD


def _sample(file: File) -> str:
    """Return a hash of the first, middle and last bytes of a file, cheap at any size."""
    digest = hashlib.blake2b(digest_size=16)
    for first in (0, file.n_bytes // 2, max(0, file.n_bytes - _SAMPLE_BYTES)):
        digest.update(file.read(first, _SAMPLE_BYTES).tobytes())
    return digest.hexdigest()


def is_same(one: str | None, other: str | None) -> bool:
    """Return whether two fingerprints are of the same weights, as far as both of them tell."""
    if one is None or other is None:
        return one is other
    return one.startswith(other) or other.startswith(one)


def _fingerprint(
    config: Mapping[str, object], tensors: Mapping[str, Tensor], *, is_near: bool
) -> str:
    whole = _of_files(config, tensors)
    return f"{whole}:{_of_tensors(tensors)}" if tensors and is_near else whole


def _of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of bytes from the middle of tensors: a few layers that were edited show."""
    names = sorted(tensors)
    n_read = min(len(names), _MOST_TENSORS)
    digest = hashlib.blake2b(digest_size=16)
    for place in range(n_read):
        tensor = tensors[names[place * len(names) // n_read]]
        count = min(tensor.n_bytes, _OF_TENSOR_BYTES)
        first = tensor.offset + (tensor.n_bytes - count) // 2
        digest.update(tensor.file.read(first, count).tobytes())
    return digest.hexdigest()


def _of_files(config: Mapping[str, object], tensors: Mapping[str, Tensor]) -> str:
    files = {tensor.file.name: tensor.file for tensor in tensors.values()}
    described = {
        "config": config,
        "tensors": [(t.name, t.shape, t.stored, t.offset) for t in tensors.values()],
        "files": [(name, files[name].n_bytes, _sample(files[name])) for name in sorted(files)],
    }
    return hashlib.blake2b(
        msgspec.json.encode(described, order="sorted"), digest_size=16
    ).hexdigest()
