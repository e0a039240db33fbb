"""Names and shapes of the parameters that a configuration implies, for families known here. Pure.

Sources: transformers 5.19, `modeling_*.py` and `configuration_*.py` of the families named (which
projections have a bias, which norms there are, whether the head is tied where nothing is said).
"""

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec

from engine.introspection.encodings import Implied
from engine.introspection.quantised import scheme_of

Config = Mapping[str, object]
Shape = tuple[int, ...]

_TWO_NORMS = ("input_layernorm", "post_attention_layernorm")
_FOUR_NORMS = (*_TWO_NORMS, "pre_feedforward_layernorm", "post_feedforward_layernorm")


class _Family(msgspec.Struct, frozen=True, kw_only=True):
    is_fused: bool = False
    """Queries, keys and values are one matrix, gate and up another."""
    has_qkv_bias: bool = False
    can_have_bias: bool = False
    """`attention_bias` and `mlp_bias` of the configuration count."""
    has_head_norms: bool = False
    norms: tuple[str, ...] = _TWO_NORMS
    is_tied: bool = False
    """Where the configuration does not say."""


_FAMILIES = {
    "llama": _Family(can_have_bias=True),
    "mistral": _Family(),
    "qwen2": _Family(has_qkv_bias=True),
    "qwen3": _Family(can_have_bias=True, has_head_norms=True),
    "gemma2": _Family(can_have_bias=True, norms=_FOUR_NORMS, is_tied=True),
    "phi3": _Family(is_fused=True),
}
_Layers = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
_Size = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class _Sizes(msgspec.Struct, frozen=True, kw_only=True):
    num_hidden_layers: _Layers
    hidden_size: _Size
    intermediate_size: _Size
    num_attention_heads: _Size
    vocab_size: _Size
    num_key_value_heads: _Size | None = None
    head_dim: _Size | None = None
    attention_bias: bool | None = None
    mlp_bias: bool | None = None
    tie_word_embeddings: bool | None = None

    @property
    def per_head(self) -> int:
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def queries(self) -> int:
        return self.num_attention_heads * self.per_head

    @property
    def keys(self) -> int:
        return (self.num_key_value_heads or self.num_attention_heads) * self.per_head


def implied(config: Config) -> dict[str, Implied]:
    """Return parameter name -> shape and type; nothing for a family that is not known here.

    A head that is tied to the embedding is left out, as in a checkpoint.
    """
    family = _FAMILIES.get(str(config.get("model_type")))
    if family is None:
        return {}
    try:
        sizes = msgspec.convert(dict(config), _Sizes)
    except msgspec.ValidationError:
        return {}
    dtype = declared_dtype(config) or "float32"
    packed = _packed_dtype(config) or dtype
    return {
        name: Implied(shape=shape, dtype=packed if "_proj.weight" in name else dtype)
        for name, shape in _shapes(family, sizes)
    }


def declared_dtype(config: Config) -> str | None:
    """Return torch's name of the type that the configuration gives the weights."""
    said = config.get("dtype") or config.get("torch_dtype")
    return str(said) if said else None


def _shapes(family: _Family, sizes: _Sizes) -> Iterator[tuple[str, Shape]]:
    yield "model.embed_tokens.weight", (sizes.vocab_size, sizes.hidden_size)
    layer = dict(_layer(family, sizes))
    for place in range(sizes.num_hidden_layers):
        yield from ((f"model.layers.{place}.{name}", shape) for name, shape in layer.items())
    yield "model.norm.weight", (sizes.hidden_size,)
    is_tied = sizes.tie_word_embeddings
    if not (family.is_tied if is_tied is None else is_tied):
        yield "lm_head.weight", (sizes.vocab_size, sizes.hidden_size)


def _layer(family: _Family, sizes: _Sizes) -> Iterator[tuple[str, Shape]]:
    for name, (outputs, inputs) in _projections(family, sizes).items():
        yield f"{name}.weight", (outputs, inputs)
        if _has_bias(name, family, sizes):
            yield f"{name}.bias", (outputs,)
    for each in ("q_norm", "k_norm") if family.has_head_norms else ():
        yield f"self_attn.{each}.weight", (sizes.per_head,)
    for each in family.norms:
        yield f"{each}.weight", (sizes.hidden_size,)


def _projections(family: _Family, sizes: _Sizes) -> dict[str, tuple[int, int]]:
    """Return name -> (outputs, inputs)."""
    hidden, inner, queries, keys = (
        sizes.hidden_size, sizes.intermediate_size, sizes.queries, sizes.keys,
    )  # fmt: skip
    outwards = {"self_attn.o_proj": (hidden, queries), "mlp.down_proj": (hidden, inner)}
    if family.is_fused:
        return {
            "self_attn.qkv_proj": (queries + 2 * keys, hidden),
            "mlp.gate_up_proj": (2 * inner, hidden),
            **outwards,
        }
    return {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        **outwards,
    }


def _has_bias(name: str, family: _Family, sizes: _Sizes) -> bool:
    if family.has_qkv_bias and name.endswith(("q_proj", "k_proj", "v_proj")):
        return True
    said = sizes.attention_bias if name.startswith("self_attn.") else sizes.mlp_bias
    return family.can_have_bias and bool(said)


def _packed_dtype(config: Config) -> str | None:
    """Return the type of packed matrices, as `Awq` and `Gptq` name it."""
    scheme = scheme_of(config)
    is_packed = scheme is not None and scheme.method in ("awq", "gptq")
    return f"int{scheme.bits}" if scheme and is_packed else None
