"""Values packed in 32-bit words, with scales: as AWQ, GPTQ and compressed-tensors pack them.

A packed matrix is read as a whole before its rows are unpacked: it is 4 to 8 times smaller than
its values.

Sources: AutoAWQ, `awq/utils/packing_utils.py` (order of the 4-bit values in an int32); AutoGPTQ,
`auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py` (packing, zero points stored less one,
`g_idx`); compressed-tensors, `compressors/quantized_compressors/pack_quantized.py` (signed values
stored with half their range added, packed along the inputs) and `quantization/lifecycle/forward.py`
(-1 in `weight_g_idx`).
"""

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from engine.errors import NotReadyError
from engine.introspection.safetensors import Floats, Tensor, read_floats, read_integers

_AWQ_COLUMNS = (0, 2, 4, 6, 1, 3, 5, 7)
"""Column whose value lies at bits 4 * i of an AWQ word."""
_PER_AWQ_WORD = 8
_WORD_BITS = 32

Words = npt.NDArray[np.uint32]
Rows = Callable[[int, int], Floats]
"""(first row, number of rows) -> float32 (rows, columns)."""


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
        group_of = _group_of(self.groups, n_inputs=self.shape[1], n_groups=len(scales))

        def read(first: int, count: int) -> Floats:
            part = slice(first, first + count)
            values = _unpacked(words[:, part], self.bits) - zeros[group_of, part]
            return np.ascontiguousarray((values * scales[group_of, part]).T)

        return read


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """4- or 8-bit signed values, several inputs to a word: packed (outputs, inputs * bits / 32)."""

    packed: Tensor
    scale: Tensor
    """(outputs, groups)"""
    groups: Tensor | None
    """Scale group of each input (`weight_g_idx`)."""
    bits: int
    n_inputs: int
    """Of the torch parameter: the last word may be padded."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the torch parameter: (outputs, inputs)."""
        return (self.packed.shape[0], self.n_inputs)

    @property
    def dtype(self) -> str:
        """Type of the packed values."""
        return f"int{self.bits}"

    def rows(self) -> Rows:
        """Return what unpacks rows: value * scale."""
        words, scale = read_integers(self.packed), read_floats(self.scale)
        group_of = _group_of(self.groups, n_inputs=self.n_inputs, n_groups=scale.shape[1])
        half = 1 << (self.bits - 1)

        def read(first: int, count: int) -> Floats:
            part = slice(first, first + count)
            values = _unpacked(words[part].T, self.bits)[: self.n_inputs].T - half
            return np.ascontiguousarray(values * scale[part][:, group_of])

        return read


def _group_of(groups: Tensor | None, *, n_inputs: int, n_groups: int) -> npt.NDArray[np.int64]:
    """Return the scale group of each input; -1 in `groups`: they follow one another."""
    in_turn = np.arange(n_inputs) // -(-n_inputs // n_groups)
    if groups is None:
        return in_turn
    found = read_integers(groups).view(np.int32).astype(np.int64)
    if -1 in found:
        return in_turn
    if found.size != n_inputs or found.min() < 0 or found.max() >= n_groups:
        raise NotReadyError(
            f"The checkpoint is corrupt: {groups.name!r} does not give each of {n_inputs} inputs "
            f"one of {n_groups} groups. Fetch the checkpoint again, or name another directory with "
            "--checkpoint."
        )
    return found


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
