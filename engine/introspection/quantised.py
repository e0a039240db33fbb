"""Which stored tensors make up which parameter, by the quantisation that the config declares. Pure.

What belongs to the storage only (packed words, scales, zero points) is no parameter: a quantised
matrix appears under the name `...weight` that it has in the model. Nor is what a server needs for
its cache, or a table that is computed from the configuration.

Source of the names: vLLM, `model_loader/weight_utils.py`, `maybe_remap_kv_scale_name`; of what is
computed: what `load_weights` leaves out in its `models/gpt2.py` and `models/gpt_neox.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar, cast

import msgspec

from engine.errors import NotReadyError
from engine.introspection.encodings import Encoding, Plain, Scaled
from engine.introspection.packed import Awq, Gptq, Signed
from engine.introspection.safetensors import Tensor, UnreadableError, read_values

_GPTQ_BITS = (4, 8)
_GPTQ_LAYOUTS = ("", "gptq", "gptq_v2")
_AWQ_BITS = 4
_AWQ_LAYOUTS = ("", "gemm")
_PACKED = "qweight"
_SIGNED = "weight_packed"
_OF_SIGNED = (_SIGNED, "weight_scale", "weight_shape", "weight_g_idx")
_OF_PACKED = ("qweight", "qzeros", "scales", "g_idx")
_SCALES = ("weight_scale", "weight_scale_inv")
_OF_SCALED = (*_SCALES, "input_scale")
_OF_CACHE = ("q_scale", "k_scale", "v_scale", "kv_scale", "output_scale")
"""Scales of an 8-bit KV cache and of what goes into it."""
_COMPUTED = ("inv_freq", "masked_bias", "causal_mask", "position_ids")
"""Rotary frequencies, masks and positions, which older checkpoints store."""
_MASK = "bias"
"""What GPT-2 and its kin call the mask of what comes later: (1, 1, positions, positions)."""
_N_MASK_AXES = 4
_N_AXES = 2
_WORD_BITS = 32
_WORDS = ("int32", "uint32")
_WHOLE_NUMBERS = ("int64", "uint64", *_WORDS)
_8_BIT = ("int8", "uint8", "float8_e4m3fn", "float8_e5m2")
_BY_GROUPS = "compressed-tensors"
"""The method that says by groups of layers how weights are quantised; without one, none are."""
_STORED_AS_GIVEN = ("fp8", "fbgemm_fp8", _BY_GROUPS, "modelopt")
"""Methods whose tensors are read by their names: as they are, or with a scale beside them."""
_FOREIGN = ("weight_zero_point", "weight_scale_2", "weight_global_scale", "absmax", "SCB")
"""Last parts of names that only packings have which cannot be read here."""


_Value = TypeVar("_Value")
_Side = Annotated[int, msgspec.Meta(ge=1)]


class _OfGroup(msgspec.Struct, frozen=True):
    num_bits: int
    block_structure: object = None


class _Group(msgspec.Struct, frozen=True):
    weights: _OfGroup | None = None


class Scheme(msgspec.Struct, frozen=True, kw_only=True):
    """The quantisation that a configuration declares."""

    method: str
    bits: int | None = None
    layout: str = ""
    """AutoAWQ's `version` or GPTQ's `checkpoint_format`."""
    tile: tuple[int, int] | None = None
    """Rows and columns that share a scale (`weight_block_size`, `block_structure`)."""

    @property
    def label(self) -> str:
        """Method and bits in words, e.g. "awq 4-bit"."""
        return f"{self.method} {self.bits}-bit" if self.bits else self.method


def scheme_of(config: Mapping[str, object]) -> Scheme | None:
    """Return the declared quantisation of the weights, None if there is none."""
    declared = config.get("quantization_config") or config.get("compression_config")
    if not isinstance(declared, dict):
        return None
    found = cast("dict[str, object]", declared)
    method = str(found.get("quant_method", "unknown")).lower()
    groups = _groups(found)
    if method == _BY_GROUPS and groups == []:
        return None
    bits = found.get("bits", found.get("w_bit", _only(each.num_bits for each in groups or ())))
    tile = _only(_tile(each.block_structure) for each in groups or ())
    return Scheme(
        method=method,
        bits=bits if isinstance(bits, int) else None,
        layout=_layout(found),
        tile=_tile(found.get("weight_block_size")) or tile,
    )


def _layout(declared: Mapping[str, object]) -> str:
    if declared.get("is_marlin_format") is True:
        return "marlin"
    return str(declared.get("checkpoint_format", declared.get("version", ""))).lower()


def _groups(declared: Mapping[str, object]) -> list[_OfGroup] | None:
    """Return what compressed-tensors' notation says of the weights, group by group.

    None: it says something that is not known here.
    """
    try:
        groups = msgspec.convert(declared.get("config_groups") or {}, dict[str, _Group])
    except msgspec.ValidationError:
        return None
    return [group.weights for group in groups.values() if group.weights]


def _only(values: Iterable[_Value]) -> _Value | None:
    """Return the value that all agree on."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def _tile(declared: object) -> tuple[int, int] | None:
    try:
        return msgspec.convert(declared, tuple[_Side, _Side])
    except msgspec.ValidationError:
        return None


def encodings_of(tensors: Mapping[str, Tensor], scheme: Scheme | None) -> dict[str, Encoding]:
    """Return parameter name -> how it is stored.

    Raises:
        UnreadableError: weights are packed in a way that cannot be read.
        NotReadyError: a part of a packed matrix is missing.
    """
    _check_foreign(tensors, scheme)
    encodings: dict[str, Encoding] = {}
    for name, tensor in tensors.items():
        layer, _, last = name.rpartition(".")
        if last == _PACKED:
            encodings[f"{layer}.weight"] = _packed(layer, tensors, scheme)
        elif last == _SIGNED:
            encodings[f"{layer}.weight"] = _signed(layer, tensors, scheme)
        elif not (_is_storage(layer, last, tensors) or _is_computed(last, tensor)):
            encodings[name] = _plain_or_scaled(layer, tensor, tensors, scheme)
    return encodings


def _check_foreign(tensors: Mapping[str, Tensor], scheme: Scheme | None) -> None:
    foreign = next((name for name in tensors if name.rpartition(".")[2] in _FOREIGN), None)
    known = ("awq", "gptq", *_STORED_AS_GIVEN)
    if foreign:
        raise UnreadableError(f"{foreign!r} belongs to a packing that cannot be read")
    if scheme is not None and scheme.method not in known:
        raise UnreadableError(f"weights quantised by {scheme.label} cannot be read")


def _is_storage(layer: str, last: str, tensors: Mapping[str, Tensor]) -> bool:
    if last in _OF_CACHE:
        return True
    is_packed = last in _OF_PACKED and f"{layer}.{_PACKED}" in tensors
    is_signed = last in _OF_SIGNED and f"{layer}.{_SIGNED}" in tensors
    return is_packed or is_signed or (last in _OF_SCALED and f"{layer}.weight" in tensors)


def _is_computed(last: str, tensor: Tensor) -> bool:
    """Tell by name, and by shape where a learnt vector may have the same name."""
    is_mask = last == _MASK and len(tensor.shape) == _N_MASK_AXES and tensor.shape[:2] == (1, 1)
    return last in _COMPUTED or is_mask


def _plain_or_scaled(
    layer: str, tensor: Tensor, tensors: Mapping[str, Tensor], scheme: Scheme | None
) -> Encoding:
    scales = [tensors[f"{layer}.{each}"] for each in _SCALES if f"{layer}.{each}" in tensors]
    if not scales or tensor.name != f"{layer}.weight":
        return Plain(tensor=tensor)
    if len(tensor.shape) != _N_AXES and tensor.dtype not in _8_BIT:
        return Plain(tensor=tensor)
    _check_scale(scales[0], _sides(tensor))
    return Scaled(tensor=tensor, scale=scales[0], tile=scheme.tile if scheme else None)


def _check_scale(scale: Tensor, sides: tuple[int, int]) -> None:
    """Compare the number of scales with the sides of the matrix that they belong to."""
    n_parts = (*scale.shape, 1, 1)[:_N_AXES]
    does_fit = all(1 <= parts <= side for parts, side in zip(n_parts, sides, strict=True))
    if not does_fit or len(scale.shape) > _N_AXES:
        told, fits = list(scale.shape), list(sides)
        raise UnreadableError(
            f"{scale.name!r} has the shape {told}, and the matrix {fits}: they do not fit"
        )


def _parts(layer: str, names: tuple[str, ...], tensors: Mapping[str, Tensor]) -> list[Tensor]:
    try:
        return [tensors[f"{layer}.{each}"] for each in names]
    except KeyError as error:
        raise NotReadyError(
            f"The checkpoint is corrupt: {layer!r} is quantised, but {error.args[0]!r} is missing."
            " Fetch the checkpoint again, or name another directory with --checkpoint."
        ) from error


def _signed(layer: str, tensors: Mapping[str, Tensor], scheme: Scheme | None) -> Encoding:
    groups = tensors.get(f"{layer}.weight_g_idx")
    _check_types(_WORDS, tensors[f"{layer}.{_SIGNED}"], groups)
    packed, scale, shape = _parts(layer, _OF_SIGNED[:3], tensors)
    if scheme is None or scheme.bits not in _GPTQ_BITS or scheme.method != _BY_GROUPS:
        declared = scheme.label if scheme else "nothing"
        raise UnreadableError(f"the weights of {layer!r} are packed, and {declared} is declared")
    n_inputs = _n_inputs(packed, scale, shape, bits=scheme.bits)
    return Signed(packed=packed, scale=scale, groups=groups, bits=scheme.bits, n_inputs=n_inputs)


def _n_inputs(packed: Tensor, scale: Tensor, shape: Tensor, *, bits: int) -> int:
    """Return how many inputs are packed, after checking that the parts fit each other."""
    (n_outputs, n_words), (_, n_groups) = _sides(packed), _sides(scale)
    _check_types(_WHOLE_NUMBERS, shape)
    _check_shapes((scale, (n_outputs, n_groups)), (shape, (_N_AXES,)))
    n_inputs = int(read_values(shape, first=1, count=1)[0])
    if not 0 <= n_words * _WORD_BITS - n_inputs * bits < _WORD_BITS:
        raise NotReadyError(f"The checkpoint is corrupt: {shape.name!r} is not the shape.")
    return n_inputs


def _packed(layer: str, tensors: Mapping[str, Tensor], scheme: Scheme | None) -> Encoding:
    qweight, qzeros, scales = _parts(layer, _OF_PACKED[:3], tensors)
    if scheme is not None and _is_awq(scheme):
        _check_awq(qweight, qzeros, scales)
        return Awq(qweight=qweight, qzeros=qzeros, scales=scales)
    if scheme is not None and _is_gptq(scheme):
        found = Gptq(
            qweight=qweight,
            qzeros=qzeros,
            scales=scales,
            groups=tensors.get(f"{layer}.g_idx"),
            bits=scheme.bits or 0,
            zero_offset=0 if scheme.layout == "gptq_v2" else 1,
        )
        _check_gptq(found)
        return found
    declared = f"{scheme.label} {scheme.layout}".strip() if scheme else "nothing"
    raise UnreadableError(
        f"the weights of {layer!r} are packed, and config.json declares {declared}; awq gemm with"
        " 4 bits and gptq with 4 or 8 bits can be read"
    )


def _check_awq(qweight: Tensor, qzeros: Tensor, scales: Tensor) -> None:
    _check_types(_WORDS, qweight, qzeros)
    (_, n_words), (n_groups, _) = _sides(qweight), _sides(scales)
    n_outputs = n_words * _WORD_BITS // _AWQ_BITS
    _check_shapes((scales, (n_groups, n_outputs)), (qzeros, (n_groups, n_words)))


def _check_gptq(found: Gptq) -> None:
    """Compare the parts: where modules have bits of their own, they do not fit each other."""
    _check_types(_WORDS, found.qweight, found.qzeros, found.groups)
    (n_words, n_outputs), (n_groups, _) = _sides(found.qweight), _sides(found.scales)
    per_word = _WORD_BITS // found.bits
    _check_shapes(
        (found.scales, (n_groups, n_outputs)), (found.qzeros, (n_groups, n_outputs // per_word))
    )
    if found.groups is not None:
        _check_shapes((found.groups, (n_words * per_word,)))


def _sides(tensor: Tensor) -> tuple[int, int]:
    if len(tensor.shape) != _N_AXES or not all(tensor.shape):
        raise UnreadableError(f"{tensor.name!r} has the shape {list(tensor.shape)}, no matrix's")
    return tensor.shape[0], tensor.shape[1]


def _check_types(known: tuple[str, ...], *tensors: Tensor | None) -> None:
    for tensor in tensors:
        if tensor is not None and tensor.dtype not in known:
            raise UnreadableError(
                f"{tensor.name!r} is stored as {tensor.dtype}, and {' or '.join(known)} would fit"
            )


def _check_shapes(*wanted: tuple[Tensor, tuple[int, ...]]) -> None:
    for tensor, shape in wanted:
        if tensor.shape != shape:
            told, fits = list(tensor.shape), list(shape)
            raise UnreadableError(f"{tensor.name!r} has the shape {told}, and {fits} would fit")


def _is_awq(scheme: Scheme) -> bool:
    return scheme.method == "awq" and scheme.bits == _AWQ_BITS and scheme.layout in _AWQ_LAYOUTS


def _is_gptq(scheme: Scheme) -> bool:
    is_readable = scheme.bits in _GPTQ_BITS and scheme.layout in _GPTQ_LAYOUTS
    return scheme.method == "gptq" and is_readable
