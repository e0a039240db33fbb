"""A checkpoint's own config.json -> preset. Reads values, never code."""

from pathlib import PurePosixPath

import msgspec

from engine.errors import UsageError
from servers.model import Architecture, Count, Method, ModelPreset, Precision, Variant
from servers.weights import n_parameters

_METHODS: dict[tuple[str, int], tuple[Precision, Method]] = {
    ("awq", 4): ("4bit", Method.AWQ),
    ("gptq", 4): ("4bit", Method.GPTQ),
    ("gptq", 8): ("8bit", Method.GPTQ),
    ("fp8", 8): ("8bit", Method.FP8),
    ("compressed-tensors", 4): ("4bit", Method.W4A16),
    ("compressed-tensors", 8): ("8bit", Method.W8A16),
}
_BY_GROUPS = "compressed-tensors"
_ABSENT = (b"", b"null")
_WITH_QKV_BIAS = ("qwen2",)
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


class _Weights(msgspec.Struct, frozen=True):
    num_bits: int = 8
    type: str = "int"
    group_size: int | None = None


class _Group(msgspec.Struct, frozen=True):
    weights: _Weights | None = None
    input_activations: object = None


class _Quantization(msgspec.Struct, frozen=True):
    quant_method: str = ""
    bits: int = 0
    w_bit: int = 0
    """What AutoAWQ calls its bits."""
    group_size: int | None = None
    q_group_size: int | None = None
    """What AutoAWQ calls its groups."""
    config_groups: dict[str, _Group] | None = None

    @property
    def group(self) -> _Group | None:
        """The first group of layers whose weights are quantised, where they are said by groups."""
        groups = (self.config_groups or {}).values() if self.quant_method == _BY_GROUPS else ()
        return next((one for one in groups if one.weights), None)

    @property
    def weights(self) -> _Weights:
        """How the weights are stored, whichever way it is said."""
        if self.group and self.group.weights:
            return self.group.weights
        size = self.group_size or self.q_group_size
        return _Weights(num_bits=self.bits or self.w_bit or 8, group_size=size)

    @property
    def is_of_weights(self) -> bool:
        """False: only the cache of keys and values is quantised."""
        return self.quant_method != _BY_GROUPS or self.group is not None


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """How weights are stored: said beside the text part of a multimodal model, or within it."""

    quantization_config: _Quantization | None = None
    compression_config: _Quantization | None = None
    """What compressed-tensors called it before."""

    @property
    def quantization(self) -> _Quantization | None:
        return self.quantization_config or self.compression_config


class _Shape(_Stored, frozen=True, kw_only=True):
    """The fields of a Hugging Face config.json that matter here; the rest is ignored."""

    num_hidden_layers: Count
    hidden_size: Count
    intermediate_size: Count
    num_attention_heads: Count
    vocab_size: Count
    max_position_embeddings: Count
    model_type: str = ""
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    tie_word_embeddings: bool | None = None
    sliding_window: int | None = None
    num_experts: int | None = None
    num_local_experts: int | None = None
    n_routed_experts: int | None = None

    def __post_init__(self) -> None:
        if self.head_dim is None and self.num_attention_heads > self.hidden_size:
            heads, hidden = self.num_attention_heads, self.hidden_size
            raise ValueError(f"num_attention_heads is {heads}, more than hidden_size, {hidden}")


class _Nested(_Stored, frozen=True, kw_only=True):
    text_config: msgspec.Raw = msgspec.Raw()


def preset_from_config(
    raw: bytes, *, key: str, repo: str, origin: str, weights_bytes: int | None = None
) -> ModelPreset:
    """Read a preset from the bytes of a config.json.

    `origin` names the file in errors. `weights_bytes`: size of the weight files, if they are at
    hand.

    Raises:
        UsageError: it is no JSON, a field is missing or has no value that it may have, or the model
            is a mixture of experts.
    """
    shape, quantization = _decode(raw, origin)
    _refuse_experts(shape, origin)
    architecture = _architecture(shape)
    variant = msgspec.structs.replace(
        _variant(quantization, repo, origin), weights_bytes=weights_bytes
    )
    return ModelPreset(
        key=key,
        title=PurePosixPath(repo).name,
        repo=repo,
        architecture=architecture,
        n_parameters=n_parameters(architecture),
        licence="see the model's own page",
        needs_wide_dtype=shape.model_type in ("gemma2", "gemma3", "gemma3_text"),
        has_system_role=shape.model_type not in ("gemma", "gemma2"),
        variants=(variant, *(() if quantization else _online(repo))),
        source=origin,
    )


def _decode(raw: bytes, origin: str) -> tuple[_Shape, _Quantization | None]:
    try:
        whole = msgspec.json.decode(raw, type=_Nested)
        text_part = bytes(whole.text_config)
        shape = msgspec.json.decode(raw if text_part in _ABSENT else text_part, type=_Shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(
            f"{origin} cannot be read as the configuration of a model: {error}. Download the model "
            "again, or name a preset (`presets` lists them)."
        ) from error
    return shape, whole.quantization or shape.quantization


def _refuse_experts(shape: _Shape, origin: str) -> None:
    for field in _EXPERTS:
        n_experts = getattr(shape, field) or 1
        if n_experts > 1:
            raise UsageError(
                f"{origin}: {field} is {n_experts}: the size of a mixture of experts is not known "
                "here, so it cannot be fitted. Serve it yourself and use --endpoint NAME=URL."
            )


def _architecture(shape: _Shape) -> Architecture:
    heads = shape.num_attention_heads
    return Architecture(
        n_layers=shape.num_hidden_layers,
        hidden=shape.hidden_size,
        intermediate=shape.intermediate_size,
        n_heads=heads,
        n_kv_heads=shape.num_key_value_heads or heads,
        head_dim=shape.head_dim or shape.hidden_size // heads,
        vocab=shape.vocab_size,
        is_tied=_is_tied(shape),
        has_qkv_bias=shape.model_type in _WITH_QKV_BIAS,
        n_norms_per_layer=4 if shape.model_type.startswith(("gemma2", "gemma3")) else 2,
        context_tokens=shape.max_position_embeddings,
        sliding_window_tokens=shape.sliding_window,
    )


def _is_tied(shape: _Shape) -> bool:
    """Where nothing is said, the family decides, and all of Gemma's tie.

    Source: transformers 5.19, `configuration_gemma*.py`.
    """
    if shape.tie_word_embeddings is not None:
        return shape.tie_word_embeddings
    from engine.introspection.implied import implied

    names = implied(msgspec.structs.asdict(shape))
    return "lm_head.weight" not in names if names else shape.model_type.startswith("gemma")


def _variant(config: _Quantization | None, repo: str, origin: str) -> Variant:
    if config is None or not config.is_of_weights:
        return Variant(precision="fp16", method=Method.PLAIN, repo=repo)
    weights = config.weights
    precision, method = _storage(config, weights, origin)
    size = weights.group_size or 0
    return Variant(
        precision=precision, method=method, repo=repo, group_size=size if size > 0 else None
    )


def _storage(config: _Quantization, weights: _Weights, origin: str) -> tuple[Precision, Method]:
    found = _METHODS.get((config.quant_method, weights.num_bits))
    if found is None:
        raise UsageError(
            f"{origin}: weights of kind {config.quant_method!r} with {weights.num_bits} bits are "
            "not known here. Known: AWQ 4, GPTQ 4 and 8, fp8, compressed-tensors 4 and 8."
        )
    return found[0], _of_group(config.group, found[1]) if config.group else found[1]


def _of_group(group: _Group, method: Method) -> Method:
    """Return what `method`, known by the bits, is by the type and the activations too."""
    is_float = group.weights is not None and group.weights.type == "float"
    if method is Method.W4A16:
        return Method.FP4 if is_float else method
    if is_float:
        return Method.FP8
    return Method.W8A16 if group.input_activations is None else Method.W8A8


def _online(repo: str) -> tuple[Variant, ...]:
    """Weights of which no quantisation is said can be turned into 8-bit floats while they load."""
    return (Variant(precision="8bit", method=Method.ONLINE_FP8, repo=repo),)
