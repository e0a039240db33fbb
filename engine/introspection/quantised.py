"""Which stored tensors make up which parameter, by the quantisation that the config declares. Pure.

What belongs to the storage only (packed words, scales, zero points) is no parameter: a quantised
matrix appears under the name `...weight` that it has in the model.
"""

from collections.abc import Mapping
from typing import cast

import msgspec

from engine.errors import NotReadyError
from engine.introspection.encodings import Awq, Encoding, Gptq, Plain, Scaled
from engine.introspection.safetensors import Tensor

_GPTQ_BITS = (4, 8)
_AWQ_BITS = 4
_PACKED = "qweight"
_OF_PACKED = ("qweight", "qzeros", "scales", "g_idx")
_SCALES = ("weight_scale", "weight_scale_inv")
_OF_SCALED = (*_SCALES, "input_scale", "weight_zero_point")
_N_AXES = 2


class Scheme(msgspec.Struct, frozen=True, kw_only=True):
    """The quantisation that a configuration declares."""

    method: str
    bits: int | None = None
    checkpoint_format: str = ""

    @property
    def label(self) -> str:
        """Method and bits in words, e.g. "awq 4-bit"."""
        return f"{self.method} {self.bits}-bit" if self.bits else self.method


def scheme_of(config: Mapping[str, object]) -> Scheme | None:
    """Return the declared quantisation, None if there is none."""
    declared = config.get("quantization_config")
    if not isinstance(declared, dict):
        return None
    found = cast("dict[str, object]", declared)
    bits = found.get("bits", found.get("w_bit"))
    return Scheme(
        method=str(found.get("quant_method", "unknown")),
        bits=bits if isinstance(bits, int) else None,
        checkpoint_format=str(found.get("checkpoint_format", "")),
    )


def encodings_of(tensors: Mapping[str, Tensor], scheme: Scheme | None) -> dict[str, Encoding]:
    """Return parameter name -> how it is stored.

    Raises:
        NotReadyError: weights are packed in a way that cannot be read.
    """
    encodings: dict[str, Encoding] = {}
    for name, tensor in tensors.items():
        layer, _, last = name.rpartition(".")
        if last == _PACKED:
            encodings[f"{layer}.weight"] = _packed(layer, tensors, scheme)
        elif not _is_storage(layer, last, tensors):
            encodings[name] = _plain_or_scaled(layer, tensor, tensors)
    return encodings


def _is_storage(layer: str, last: str, tensors: Mapping[str, Tensor]) -> bool:
    is_packed = last in _OF_PACKED and f"{layer}.{_PACKED}" in tensors
    return is_packed or (last in _OF_SCALED and f"{layer}.weight" in tensors)


def _plain_or_scaled(layer: str, tensor: Tensor, tensors: Mapping[str, Tensor]) -> Encoding:
    scales = [tensors[f"{layer}.{each}"] for each in _SCALES if f"{layer}.{each}" in tensors]
    if scales and tensor.name == f"{layer}.weight" and len(tensor.shape) == _N_AXES:
        return Scaled(tensor=tensor, scale=scales[0])
    return Plain(tensor=tensor)


def _packed(layer: str, tensors: Mapping[str, Tensor], scheme: Scheme | None) -> Encoding:
    try:
        parts = [tensors[f"{layer}.{each}"] for each in _OF_PACKED[:3]]
    except KeyError as error:
        raise NotReadyError(
            f"The checkpoint is corrupt: {layer!r} is quantised, but {error.args[0]!r} is missing."
            " Fetch the checkpoint again, or name another directory with --checkpoint."
        ) from error
    qweight, qzeros, scales = parts
    if scheme is not None and scheme.method == "awq" and scheme.bits == _AWQ_BITS:
        return Awq(qweight=qweight, qzeros=qzeros, scales=scales)
    if scheme is not None and scheme.method == "gptq" and scheme.bits in _GPTQ_BITS:
        return Gptq(
            qweight=qweight,
            qzeros=qzeros,
            scales=scales,
            groups=tensors.get(f"{layer}.g_idx"),
            bits=scheme.bits,
            zero_offset=0 if scheme.checkpoint_format == "gptq_v2" else 1,
        )
    declared = f"{scheme.method} with {scheme.bits} bits" if scheme else "nothing"
    raise NotReadyError(
        f"The weights of {layer!r} are packed, and config.json declares {declared}; awq with 4 bits"
        " and gptq with 4 or 8 bits can be read. Name another directory with --checkpoint, or leave"
        " it out."
    )
