"""How a parameter is stored, and its values as float32: as they are, scaled, or packed in integers.

A parameter is read by rows of its torch shape (outputs first), so a part of it costs a part of the
time, and memory stays bounded.

Source of `Scaled`: compressed-tensors and vLLM's fp8 layers (`weight_scale`, `weight_scale_inv` per
tile).
"""

import math
from collections.abc import Iterator

import msgspec
import numpy as np

from engine.errors import NotReadyError
from engine.introspection.packed import Awq, Gptq, Rows, Signed
from engine.introspection.safetensors import Floats, Tensor, read_floats, read_values

BLOCK_VALUES = 1 << 18
"""Values per block: 1 MiB as float32, which stays in the cache of a core."""


class Plain(msgspec.Struct, frozen=True, kw_only=True):
    """Stored as it is."""

    tensor: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the torch parameter."""
        return self.tensor.shape

    @property
    def dtype(self) -> str:
        """Torch's name of the stored type."""
        return self.tensor.dtype

    def rows(self) -> Rows:
        """Return what reads rows."""
        n_columns = _n_columns(self.shape)

        def read(first: int, count: int) -> Floats:
            values = read_values(self.tensor, first=first * n_columns, count=count * n_columns)
            return values.reshape(count, n_columns)

        return read


class Scaled(msgspec.Struct, frozen=True, kw_only=True):
    """8-bit values and a scale for all, for each row, or for each tile of the matrix."""

    tensor: Tensor
    scale: Tensor
    tile: tuple[int, int] | None = None
    """Rows and columns of a tile; the matrix is divided evenly where the scales are not as many."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the torch parameter."""
        return self.tensor.shape

    @property
    def dtype(self) -> str:
        """Type of the stored values."""
        return self.tensor.dtype

    def rows(self) -> Rows:
        """Return what reads rows: values times their scale."""
        n_columns = self.shape[1]
        stored = Plain(tensor=self.tensor).rows()
        scale = read_floats(self.scale).reshape((self.scale.shape or (1,))[0], -1)
        height, width = self._sides(scale.shape)

        def read(first: int, count: int) -> Floats:
            tiles = scale[np.arange(first, first + count) // height]
            return stored(first, count) * np.repeat(tiles, width, axis=1)[:, :n_columns]

        return read

    def _sides(self, n_scales: tuple[int, ...]) -> tuple[int, ...]:
        """Return the rows and columns that share one of `n_scales`."""
        if self.tile and _quotients(self.shape, self.tile) == n_scales:
            return self.tile
        return _quotients(self.shape, n_scales)


def _quotients(lengths: tuple[int, ...], parts: tuple[int, ...]) -> tuple[int, ...]:
    """Return each length divided by its part, rounded up."""
    return tuple(-(-length // part) for length, part in zip(lengths, parts, strict=True))


class Implied(msgspec.Struct, frozen=True, kw_only=True):
    """Known from the configuration alone: there are no values to read."""

    shape: tuple[int, ...]
    dtype: str

    def rows(self) -> Rows:
        """Raise NotReadyError."""
        raise NotReadyError("the values cannot be read: only the configuration is there")


Encoding = Plain | Scaled | Awq | Gptq | Signed | Implied


def blocks(encoding: Encoding) -> Iterator[Floats]:
    """Yield all values in the order of the torch parameter, flat, in blocks of bounded size."""
    n_columns = _n_columns(encoding.shape)
    n_rows = math.prod(encoding.shape) // n_columns
    n_at_once = max(1, BLOCK_VALUES // n_columns)
    rows = encoding.rows()
    for first in range(0, n_rows, n_at_once):
        yield rows(first, min(n_at_once, n_rows - first)).reshape(-1)


def sample(encoding: Encoding, *, most: int) -> Floats:
    """Return the values of evenly spaced rows, about `most` of them, flat."""
    n_columns = _n_columns(encoding.shape)
    n_rows = math.prod(encoding.shape) // n_columns
    if math.prod(encoding.shape) <= most:
        return encoding.rows()(0, n_rows).reshape(-1)
    rows = encoding.rows()
    wanted = np.linspace(0, n_rows - 1, max(1, most // n_columns)).astype(int)
    return np.concatenate([rows(int(row), 1).reshape(-1) for row in wanted])


def _n_columns(shape: tuple[int, ...]) -> int:
    return max(1, shape[-1]) if len(shape) > 1 else 1
