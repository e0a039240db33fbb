"""A GGUF file of the user's own -> preset. Reads the header, no weights."""

from pathlib import Path

import msgspec

from engine.errors import UsageError
from servers.embedded.fetch import parts_of
from servers.embedded.files import DamagedFileError
from servers.embedded.gguf import Header, read_header
from servers.model import Architecture, Method, ModelPreset, Precision, Variant

_SIGHT = "mmproj"
_FEWEST_BITS: tuple[tuple[Precision, float], ...] = (("fp16", 12), ("8bit", 7), ("4bit", 0))
"""Bits per weight from which on a file counts as that fine."""


def preset_from_gguf(file: Path, *, key: str) -> ModelPreset:
    """Read the preset of a GGUF file; of a model in several parts, `file` is the first.

    Raises:
        UsageError: the file or one of its parts is missing or damaged, or says too little.
    """
    parts = parts_of(file)
    headers = [_header(part) for part in parts]
    n_parameters = sum(tensor.n_items for header in headers for tensor in header.tensors)
    size_bytes = sum(part.stat().st_size for part in parts)
    path = str(file.resolve())
    return ModelPreset(
        key=key,
        title=str(headers[0].fields.get("general.name", key)),
        repo=path,
        architecture=_architecture(file, headers),
        n_parameters=n_parameters,
        licence=str(headers[0].fields.get("general.license", "see the model's own page")),
        variants=(
            Variant(
                precision=_precision(size_bytes * 8 / max(1, n_parameters)),
                method=Method.GGUF,
                repo=path,
                weights_bytes=size_bytes,
            ),
        ),
        source=path,
    )


def models_in(directory: Path) -> tuple[Path, ...]:
    """Return the GGUF files of a directory; of a model in several parts the first.

    What sees for a model (`mmproj`) is no model.
    """
    files = [file for file in sorted(directory.glob("*.gguf")) if _SIGHT not in file.name.lower()]
    return tuple(dict.fromkeys(parts_of(file)[0] for file in files))


def _header(file: Path) -> Header:
    try:
        return read_header(file)
    except FileNotFoundError as error:
        raise UsageError(
            f"model: there is no file {str(file)!r}. Check the path; a model in parts needs all of "
            "them in one directory."
        ) from error
    except (DamagedFileError, OSError) as error:
        raise UsageError(
            f"model: {str(file)!r} cannot be read as a GGUF file: {error}. Download the model "
            "again, or name a preset (`presets` lists them)."
        ) from error


def _architecture(file: Path, headers: list[Header]) -> Architecture:
    fields = headers[0].fields
    kind = fields.get("general.architecture", "")
    names = {tensor.name for header in headers for tensor in header.tensors}
    given = {
        "n_layers": fields.get(f"{kind}.block_count"),
        "hidden": fields.get(f"{kind}.embedding_length"),
        "intermediate": fields.get(f"{kind}.feed_forward_length"),
        "n_heads": fields.get(f"{kind}.attention.head_count"),
        "context_tokens": fields.get(f"{kind}.context_length"),
        "vocab": fields.get("tokenizer.ggml.tokens"),
    }
    try:
        heads, hidden = _count(given["n_heads"]), _count(given["hidden"])
        return Architecture(
            n_layers=_count(given["n_layers"]),
            hidden=hidden,
            intermediate=_count(given["intermediate"]),
            n_heads=heads,
            n_kv_heads=_count(fields.get(f"{kind}.attention.head_count_kv", heads)),
            head_dim=_count(fields.get(f"{kind}.attention.key_length", hidden // heads)),
            vocab=_count(given["vocab"]),
            has_qkv_bias="blk.0.attn_q.bias" in names,
            is_tied="output.weight" not in names,
            context_tokens=_count(given["context_tokens"]),
        )
    except msgspec.ValidationError as error:
        missing = [name for name, value in given.items() if not isinstance(value, int | tuple)]
        raise UsageError(
            f"model: {str(file)!r} does not say its {', '.join(missing) or 'shape'} in a way that "
            "is known here, so it cannot be fitted. Serve it yourself and use --endpoint NAME=URL."
        ) from error


def _count(value: object) -> int:
    """Return a number that every layer has, or the largest where each has its own."""
    numbers = msgspec.convert(value if isinstance(value, tuple) else (value,), tuple[int, ...])
    count = max(numbers, default=0)
    if count < 1:
        msg = f"{count} is no count"
        raise msgspec.ValidationError(msg)
    return count


def _precision(bits: float) -> Precision:
    return next(name for name, fewest in _FEWEST_BITS if bits >= fewest)
