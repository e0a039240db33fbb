"""Where the tensors of safetensors files lie, and any part of their values as float32.

Reads headers and byte ranges only: no file is loaded or mapped as a whole, so the memory needed
does not depend on the size of a tensor, and a file may lie on another machine.

Source of the format: safetensors README, "Format" (an 8-byte little-endian header length, a JSON
header, then the data).
"""

import math
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from engine.errors import NotReadyError
from engine.introspection.files import File

Floats = npt.NDArray[np.float32]

_REMEDY = "Fetch the checkpoint again, or name another directory with --checkpoint."
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000

_STORED_AS = {
    "F64": ("float64", "<f8"),
    "F32": ("float32", "<f4"),
    "F16": ("float16", "<f2"),
    "BF16": ("bfloat16", "<u2"),
    "F8_E4M3": ("float8_e4m3fn", "u1"),
    "F8_E5M2": ("float8_e5m2", "u1"),
    "I64": ("int64", "<i8"),
    "I32": ("int32", "<i4"),
    "I16": ("int16", "<i2"),
    "I8": ("int8", "i1"),
    "U64": ("uint64", "<u8"),
    "U32": ("uint32", "<u4"),
    "U16": ("uint16", "<u2"),
    "U8": ("uint8", "u1"),
    "BOOL": ("bool", "u1"),
}
"""safetensors' name -> (torch's name, how numpy reads the bytes)."""


class UnreadableError(Exception):
    """The weights are stored in a way that cannot be read; the configuration can."""


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One stored tensor: where its bytes are and what they mean."""

    name: str
    shape: tuple[int, ...]
    stored: str
    """safetensors' name of the data type, e.g. "BF16"."""
    file: File
    offset: int
    """Position of the first byte in the file."""
    n_bytes: int

    @property
    def dtype(self) -> str:
        """Torch's name of the data type, e.g. "bfloat16"."""
        return _STORED_AS[self.stored][0]

    @property
    def n_values(self) -> int:
        """Number of stored values."""
        return math.prod(self.shape)


class _Entry(msgspec.Struct, frozen=True):
    dtype: str
    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    data_offsets: tuple[int, int]


def read_header(file: File) -> dict[str, Tensor]:
    """Return the tensors of one file by name, after checking that the file is whole.

    Raises:
        NotReadyError: it is no safetensors file, or is truncated.
        UnreadableError: a tensor has a type that is not known here.
        OSError: it cannot be read.
    """
    header_bytes = int.from_bytes(file.read(0, _LENGTH_BYTES).tobytes(), "little")
    if not 0 < header_bytes <= min(_MAX_HEADER_BYTES, file.n_bytes - _LENGTH_BYTES):
        raise _corrupt(file, "it has no safetensors header")
    header = file.read(_LENGTH_BYTES, header_bytes).tobytes()
    entries = _entries(file, header)
    start = _LENGTH_BYTES + header_bytes
    for name, entry in entries.items():
        _check(file, name=name, entry=entry, n_data_bytes=file.n_bytes - start)
    return {
        name: Tensor(
            name=name,
            shape=entry.shape,
            stored=entry.dtype,
            file=file,
            offset=start + entry.data_offsets[0],
            n_bytes=entry.data_offsets[1] - entry.data_offsets[0],
        )
        for name, entry in entries.items()
    }


def _corrupt(file: File, what: str) -> NotReadyError:
    return NotReadyError(f"The checkpoint file {file.place} is corrupt: {what}. {_REMEDY}")


def _entries(file: File, header: bytes) -> dict[str, _Entry]:
    try:
        entries = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        return {name: msgspec.json.decode(raw, type=_Entry) for name, raw in entries.items()}
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _corrupt(file, f"its header is not valid ({error})") from error


def _check(file: File, *, name: str, entry: _Entry, n_data_bytes: int) -> None:
    if entry.dtype not in _STORED_AS:
        raise UnreadableError(f"{name!r} has the data type {entry.dtype!r}, which cannot be read")
    first, last = entry.data_offsets
    item_bytes = np.dtype(_STORED_AS[entry.dtype][1]).itemsize
    if first < 0 or last - first != math.prod(entry.shape) * item_bytes:
        raise _corrupt(file, f"tensor {name!r} does not have the size of its shape")
    if last > n_data_bytes:
        raise _corrupt(
            file, f"it is truncated ({n_data_bytes} bytes of data, {name!r} ends at {last})"
        )


def read_floats(tensor: Tensor) -> Floats:
    """Return the whole of a small tensor as float32, in its shape."""
    return read_values(tensor, first=0, count=tensor.n_values).reshape(tensor.shape)


def read_integers(tensor: Tensor) -> npt.NDArray[np.uint32]:
    """Return the whole of a tensor of packed 32-bit words, in its shape."""
    raw = _read(tensor, first=0, count=tensor.n_values)
    return raw.view(np.uint32).reshape(tensor.shape)


def read_values(tensor: Tensor, *, first: int, count: int) -> Floats:
    """Return `count` values from value `first` on in storage order, flat."""
    return _as_float32(_read(tensor, first=first, count=count), tensor.stored)


def _read(tensor: Tensor, *, first: int, count: int) -> npt.NDArray[np.generic]:
    item = np.dtype(_STORED_AS[tensor.stored][1])
    n_bytes = count * item.itemsize
    raw = tensor.file.read(tensor.offset + first * item.itemsize, n_bytes)
    if raw.size != n_bytes:
        raise OSError(f"{tensor.file.place} became shorter while it was in use")
    return raw.view(item)


def _as_float32(raw: npt.NDArray[np.generic], stored: str) -> Floats:
    """Return stored values as float32."""
    if stored == "BF16":
        return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if stored == "F8_E4M3":
        return _float8(exponent_bits=4, has_infinity=False)[raw.astype(np.uint8)]
    if stored == "F8_E5M2":
        return _float8(exponent_bits=5, has_infinity=True)[raw.astype(np.uint8)]
    return raw.astype(np.float32)


def _float8(*, exponent_bits: int, has_infinity: bool) -> Floats:
    """Return the value of each of the 256 codes.

    Source: Micikevicius et al., "FP8 Formats for Deep Learning", 2022, table 1. E4M3 has no
    infinity and one NaN mantissa; E5M2 follows IEEE 754.
    """
    mantissa_bits = 7 - exponent_bits
    codes = np.arange(256)
    mantissa = codes & ((1 << mantissa_bits) - 1)
    exponent = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    bias = (1 << (exponent_bits - 1)) - 1
    is_subnormal = exponent == 0
    fraction = mantissa / (1 << mantissa_bits) + np.where(is_subnormal, 0.0, 1.0)
    values = np.ldexp(fraction, np.where(is_subnormal, 1, exponent) - bias)
    top = exponent == (1 << exponent_bits) - 1
    if has_infinity:
        values = np.where(top, np.where(mantissa == 0, np.inf, np.nan), values)
    else:
        values = np.where(top & (mantissa == (1 << mantissa_bits) - 1), np.nan, values)
    return np.where(codes & 0x80, -values, values).astype(np.float32)
