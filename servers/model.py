"""What a model is to the launcher: its shape, its published weights, its terms. Values only."""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

Precision = Literal["fp16", "8bit", "4bit"]
"""How coarse the weights are; "fp16" stands for unquantised, whatever 16- or 32-bit type is
used."""

PRECISIONS: tuple[Precision, ...] = ("fp16", "8bit", "4bit")
"""From the finest to the coarsest."""


Count = Annotated[int, msgspec.Meta(ge=1)]
"""A number of things of which there is at least one; checked where it is read from a file."""


class Method(StrEnum):
    """How the linear weights of a checkpoint are stored."""

    PLAIN = "plain"
    AWQ = "awq"
    GPTQ = "gptq"
    W4A16 = "w4a16"
    FP4 = "fp4"
    """4-bit floats (NVFP4, MXFP4) in small groups with 8-bit scales."""
    W8A16 = "w8a16"
    W8A8 = "w8a8"
    FP8 = "fp8"
    ONLINE_FP8 = "online-fp8"
    """The plain checkpoint, turned into 8-bit floats by vLLM while it loads."""
    GGUF = "gguf"
    """llama.cpp's file format: for machines without an NVIDIA GPU."""


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """The shape numbers of a decoder with grouped-query attention and a gated MLP."""

    n_layers: Count
    hidden: Count
    intermediate: Count
    n_heads: Count
    n_kv_heads: Count
    head_dim: Count
    vocab: Count
    is_tied: bool
    """The output head shares the embedding matrix."""
    has_qkv_bias: bool = False
    n_norms_per_layer: int = 2
    context_tokens: Count
    """Native context window: what the instruct checkpoint supports without changing its rope."""
    rope: str = "plain"
    """How positions are encoded beyond the window the base was trained on; prose."""
    sliding_window_tokens: int | None = None
    """Window of the layers that do not see everything, if there are any."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One published set of weights of a model."""

    precision: Precision
    method: Method
    repo: str
    """Hub id, or the path of a local directory."""
    is_gated: bool = False
    """A token and an accepted licence are needed to download it."""
    pattern: str | None = None
    """Which files of the repository are meant, where it holds several sets (GGUF)."""
    weights_bytes: int | None = None
    """Measured size of the files; None: computed from the architecture."""
    group_size: Count | None = None
    """How many weights share a scale; None: as many as is usual for the method."""


class ModelPreset(msgspec.Struct, frozen=True, kw_only=True):
    """Typed settings of one model."""

    key: str
    """Short name: of the preset, of the arm in a study, and what the server calls the model."""
    title: str
    repo: str
    """Hub id of the unquantised instruct checkpoint, or a local directory."""
    architecture: Architecture
    n_parameters: int
    licence: str
    is_gated: bool = False
    needs_wide_dtype: bool = False
    """vLLM refuses float16 for it (numerical instability): bfloat16 or float32 only."""
    has_system_role: bool = True
    """False: its chat template refuses the role "system"."""
    variants: tuple[Variant, ...]
    """In order of preference within one precision."""
    notes: tuple[str, ...] = ()
    source: str
    """Where the numbers come from."""
