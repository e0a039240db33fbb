"""How a parameter is stored, and its values as float32: as they are, scaled, or packed in integers.

A parameter is read by rows of its torch shape (outputs first), so a part of it costs a part of the
time, and memory stays bounded. A packed matrix is read as a whole before its rows are unpacked: it
is 4 to 8 times smaller than its values.

Sources: AutoAWQ, `awq/utils/packing_utils.py` (order of the 4-bit values in an int32); AutoGPTQ,
`auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py` (packing, zero points stored less one,
`g_idx`); compressed-tensors and vLLM's fp8 layers (`weight_scale`, `weight_scale_inv` per tile).
"""

import math
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from engine.introspection.safetensors import (
    Floats,
    Tensor,
    read_floats,
    read_integers,
    read_values,
)

BLOCK_VALUES = 1 << 18
"""Values per block: 1 MiB as float32, which stays in the cache of a core."""

_AWQ_COLUMNS = (0, 2, 4, 6, 1, 3, 5, 7)
"""Column whose value lies at bits 4 * i of an AWQ word."""
_PER_AWQ_WORD = 8
_WORD_BITS = 32

Words = npt.NDArray[np.uint32]
Rows = Callable[[int, int], Floats]
"""(first row, number of rows) -> float32 (rows, columns)."""


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
        n_rows, n_columns = self.shape
        stored = Plain(tensor=self.tensor).rows()
        scale = read_floats(self.scale).reshape((self.scale.shape or (1,))[0], -1)
        tile_height = -(-n_rows // scale.shape[0])
        tile_width = -(-n_columns // scale.shape[1])

        def read(first: int, count: int) -> Floats:
            tiles = scale[np.arange(first, first + count) // tile_height]
            return stored(first, count) * np.repeat(tiles, tile_width, axis=1)[:, :n_columns]

        return read


class Awq(msgspec.Struct, frozen=True, kw_only=True):
    """4-bit values, 8 outputs to a word: qweight (inputs, outputs / 8)."""

    qweight: Tensor
    qzeros: Tensor
    scales: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the torch parameter: (outputs, inputs)."""
        return (self.scales.shape[1], self.qweight.shape[0])

    @property
    def dtype(self) -> str:
        """Type of the packed values."""
        return "int4"

    def rows(self) -> Rows:
        """Return what unpacks rows: (value - zero point) * scale."""
        words, zero_words = read_integers(self.qweight), read_integers(self.qzeros)
        scales = read_floats(self.scales)
        n_inputs = len(words)
        group_of = np.arange(n_inputs) // -(-n_inputs // len(scales))

        def read(first: int, count: int) -> Floats:
            start = first // _PER_AWQ_WORD
            part = slice(start, -(-(first + count) // _PER_AWQ_WORD))
            values = _awq_outputs(words[:, part]) - _awq_outputs(zero_words[:, part])[group_of]
            skipped = first - start * _PER_AWQ_WORD
            found = values[:, skipped : skipped + count] * scales[group_of, first : first + count]
            return np.ascontiguousarray(found.T)

        return read


class Gptq(msgspec.Struct, frozen=True, kw_only=True):
    """4- or 8-bit values, several inputs to a word: qweight (inputs * bits / 32, outputs)."""

    qweight: Tensor
    qzeros: Tensor
    scales: Tensor
    groups: Tensor | None
    """Scale group of each input (`g_idx`)."""
    bits: int
    zero_offset: int
    """Added to the stored zero points: 1, or 0 in format "gptq_v2"."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the torch parameter: (outputs, inputs)."""
        return (self.qweight.shape[1], self.qweight.shape[0] * _WORD_BITS // self.bits)

    @property
    def dtype(self) -> str:
        """Type of the packed values."""
        return f"int{self.bits}"

    def rows(self) -> Rows:
        """Return what unpacks rows: (value - zero point) * scale."""
        words = read_integers(self.qweight)
        scales = read_floats(self.scales)
        zeros = _unpacked(read_integers(self.qzeros).T, self.bits).T + self.zero_offset
        group_of = self._group_of(n_groups=len(scales))

        def read(first: int, count: int) -> Floats:
            part = slice(first, first + count)
            values = _unpacked(words[:, part], self.bits) - zeros[group_of, part]
            return np.ascontiguousarray((values * scales[group_of, part]).T)

        return read

    def _group_of(self, *, n_groups: int) -> npt.NDArray[np.int64]:
        if self.groups is not None:
            return read_integers(self.groups).astype(np.int64)
        n_inputs = self.shape[1]
        return np.arange(n_inputs) // -(-n_inputs // n_groups)


Encoding = Plain | Scaled | Awq | Gptq


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


def _awq_outputs(words: Words) -> Floats:
    """Return the 8 columns of each word, in the order of the matrix."""
    columns = np.empty((*words.shape, _PER_AWQ_WORD), np.float32)
    for place, column in enumerate(_AWQ_COLUMNS):
        columns[..., column] = (words >> np.uint32(4 * place)) & np.uint32(15)
    return columns.reshape(len(words), -1)


def _unpacked(words: Words, bits: int) -> Floats:
    """Return the 32 / bits rows of each word, lowest bits first."""
    per_word = _WORD_BITS // bits
    rows = np.empty((len(words), per_word, words.shape[1]), np.float32)
    for place in range(per_word):
        rows[:, place] = (words >> np.uint32(bits * place)) & np.uint32((1 << bits) - 1)
    return rows.reshape(-1, words.shape[1])
