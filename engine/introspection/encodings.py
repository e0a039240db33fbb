"""How a parameter is stored, and its values as float32: as they are, scaled, or packed in integers.

Values come in the order of the torch parameter (row-major over (outputs, inputs)), in flat blocks
of bounded size. A packed matrix is read as a whole: it is 4 to 8 times smaller than its values.

Sources: AutoAWQ, `awq/utils/packing_utils.py` (order of the 4-bit values in an int32); AutoGPTQ,
`auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py` (packing, zero points stored less one,
`g_idx`); compressed-tensors and vLLM's fp8 layers (`weight_scale`, `weight_scale_inv` per block).
"""

import math
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from engine.introspection.safetensors import (
    BLOCK_VALUES,
    Floats,
    Tensor,
    float_blocks,
    read_floats,
    read_integers,
)

_AWQ_COLUMNS = (0, 2, 4, 6, 1, 3, 5, 7)
"""Column whose value lies at bits 4 * i of an AWQ word."""
_WORD_BITS = 32

Words = npt.NDArray[np.uint32]


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

    def blocks(self) -> Iterator[Floats]:
        """Yield the values."""
        return float_blocks(self.tensor)


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

    def blocks(self) -> Iterator[Floats]:
        """Yield the values times their scale."""
        n_rows, n_columns = self.shape
        scale = read_floats(self.scale).reshape(self.scale.shape or (1,))
        scale = scale.reshape(scale.shape[0], -1)
        rows_per_tile = -(-n_rows // scale.shape[0])
        columns_per_tile = -(-n_columns // scale.shape[1])
        n_at_once = max(1, BLOCK_VALUES // n_columns)
        blocks = float_blocks(self.tensor, block_values=n_at_once * n_columns)
        for first, block in zip(range(0, n_rows, n_at_once), blocks, strict=True):
            values = block.reshape(-1, n_columns)
            tiles = scale[np.arange(first, first + len(values)) // rows_per_tile]
            values *= np.repeat(tiles, columns_per_tile, axis=1)[:, :n_columns]
            yield values.reshape(-1)


class Awq(msgspec.Struct, frozen=True, kw_only=True):
    """4-bit values, 8 columns to a word: qweight (inputs, outputs / 8)."""

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

    def blocks(self) -> Iterator[Floats]:
        """Yield (value - zero point) * scale."""
        n_outputs, n_inputs = self.shape
        words, zero_words = read_integers(self.qweight), read_integers(self.qzeros)
        scales = read_floats(self.scales)
        group = -(-n_inputs // len(scales))
        n_words = max(1, BLOCK_VALUES // (8 * n_inputs))
        for first in range(0, n_outputs // 8, n_words):
            part = slice(first, first + n_words)
            zeros = _awq_columns(zero_words[:, part])
            values = _awq_columns(words[:, part]) - np.repeat(zeros, group, axis=0)[:n_inputs]
            factors = scales[:, 8 * first : 8 * first + values.shape[1]]
            values *= np.repeat(factors, group, axis=0)[:n_inputs]
            yield values.T.reshape(-1)


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

    def blocks(self) -> Iterator[Floats]:
        """Yield (value - zero point) * scale."""
        n_outputs, n_inputs = self.shape
        words = read_integers(self.qweight)
        scales = read_floats(self.scales)
        packed_zeros = read_integers(self.qzeros).T
        zeros = _unpacked_rows(packed_zeros, self.bits).T[:, :n_outputs] + self.zero_offset
        group_of = self._group_of(n_inputs, n_groups=len(scales))
        n_columns = max(1, BLOCK_VALUES // n_inputs)
        for first in range(0, n_outputs, n_columns):
            part = slice(first, first + n_columns)
            values = _unpacked_rows(words[:, part], self.bits) - zeros[group_of, part]
            values *= scales[group_of, part]
            yield values.T.reshape(-1)

    def _group_of(self, n_inputs: int, *, n_groups: int) -> npt.NDArray[np.int64]:
        if self.groups is not None:
            return read_integers(self.groups).astype(np.int64)
        return np.arange(n_inputs) // -(-n_inputs // n_groups)


Encoding = Plain | Scaled | Awq | Gptq


def n_values(encoding: Encoding) -> int:
    """Return the number of weights."""
    return math.prod(encoding.shape)


def _awq_columns(words: Words) -> Floats:
    """Return the 8 columns of each word, in the order of the matrix."""
    columns = np.empty((*words.shape, 8), np.float32)
    for place, column in enumerate(_AWQ_COLUMNS):
        columns[..., column] = (words >> np.uint32(4 * place)) & np.uint32(15)
    return columns.reshape(len(words), -1)


def _unpacked_rows(words: Words, bits: int) -> Floats:
    """Return the 32 / bits rows of each word, lowest bits first."""
    per_word = _WORD_BITS // bits
    rows = np.empty((len(words), per_word, words.shape[1]), np.float32)
    for place in range(per_word):
        rows[:, place] = (words >> np.uint32(bits * place)) & np.uint32((1 << bits) - 1)
    return rows.reshape(-1, words.shape[1])
