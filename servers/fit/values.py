"""What is asked of the fit and what it answers, with every figure that led there."""

from typing import Literal

import msgspec

from servers.hardware import Build, HardwareProfile
from servers.model import Method, ModelPreset, Precision, Variant

Dtype = Literal["half", "bfloat16", "float32"]
Runtime = Literal["vllm", "llama.cpp"]
Mode = Literal["together", "sleep", "serial"]
"""All servers answer at once; all are started but one is awake; one is started after the other
ended."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What an earlier start of the same server really took besides weights and KV cache."""

    repo: str
    gpu: str
    """Name of the GPU."""
    n_seqs: int
    n_batched_tokens: int
    is_eager: bool
    is_online_fp8: bool = False
    """The plain weights of the repository were turned into 8-bit floats while they loaded."""
    n_gpus: int = 1
    """Over how many cards the model was split."""
    working_bytes: int
    """Activations and CUDA graphs, per GPU: what the server's log tells."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be served, and on what."""

    presets: tuple[ModelPreset, ...]
    hardware: HardwareProfile
    precision: Precision | None = None
    """Given: kept for every model, or refused. None: the profile's, and coarser where it must
    be."""
    context_tokens: int | None = None
    """Given: kept, or refused. None: up to 32768, and less where it must be."""
    has_fp8_kv: bool = False
    """Keep keys and values as 8-bit floats: half the bytes per token."""
    runtime: Runtime | None = None
    """None: vLLM on GPUs; elsewhere llama.cpp for models with a GGUF file, vLLM's CPU build for
    others."""
    measured: tuple[Measured, ...] = ()
    """Oldest first."""
    catalogue: tuple[ModelPreset, ...] = ()
    """Models that a refusal may suggest in place of those asked for."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which weights of a model, in which number format."""

    preset: ModelPreset
    variant: Variant
    dtype: Dtype
    runtime: Runtime
    weights_bytes: int
    kv_bytes_per_token: int
    has_fp8_kv: bool = False
    notes: tuple[str, ...] = ()


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """How a server is run: what costs memory besides weights and KV cache."""

    n_seqs: int
    """Most sequences in one step (vLLM: max-num-seqs)."""
    n_batched_tokens: int
    """Most tokens in one step (vLLM: max-num-batched-tokens)."""
    is_eager: bool = False
    """Without CUDA graphs and compilation."""
    n_windows: float
    """How many full context windows the KV cache must hold."""


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """The arithmetic of one card or of RAM.

    total - others - contexts - margin - weights - working = KV cache
    """

    name: str
    indices: tuple[int, ...]
    """Which GPU; empty for RAM."""
    models: tuple[str, ...]
    total_bytes: int
    others_bytes: int
    contexts_bytes: int
    """One CUDA context (on a CPU: one program) per server."""
    margin_bytes: int
    weights_bytes: int
    working_bytes: int
    """Activations, CUDA graphs and the rest."""
    kv_needed_bytes: int
    """KV cache that the step asks for."""

    @property
    def kv_bytes(self) -> int:
        """What is left for KV cache; negative: not even the weights fit."""
        taken = self.others_bytes + self.contexts_bytes + self.margin_bytes
        return self.total_bytes - taken - self.weights_bytes - self.working_bytes

    @property
    def short_bytes(self) -> int:
        """How much is missing; 0 if it fits."""
        return max(0, self.kv_needed_bytes - self.kv_bytes)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of the ladder: what was given up, and the arithmetic of the tightest card."""

    name: str
    precisions: tuple[tuple[str, Precision], ...]
    """Model and precision, in the order asked for."""
    context_tokens: int
    flags: Flags
    tightest: Sum
    fits: bool


class ServerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One server to be started. Bytes are over all its GPUs together."""

    model: str
    """Key of the preset: name of the arm, and what the server calls the model."""
    repo: str
    """Hub id or local directory of the weights."""
    pattern: str | None = None
    """Which files of the repository, where it holds several sets (GGUF)."""
    is_gated: bool = False
    quantization: Precision
    method: Method
    dtype: Dtype
    runtime: Runtime
    gpus: tuple[int, ...]
    """Indices of its GPUs: more than one means tensor parallel; empty means CPU."""
    weights_bytes: int
    working_bytes: int
    """Activations, CUDA graphs and the rest."""
    kv_bytes: int
    kv_bytes_per_token: int
    max_model_len: int
    """Context window, tokens."""
    max_num_seqs: int
    max_num_batched_tokens: int
    is_eager: bool
    capture_sizes: tuple[int, ...] = ()
    """Batch sizes with a CUDA graph; empty: vLLM's own list."""
    has_fp8_kv: bool = False
    has_sleep: bool = False
    gpu_memory_utilization: float
    """Share of the card that must be free at the start, and vLLM's budget if the KV cache is not
    pinned."""
    is_kv_pinned: bool
    """The KV cache gets exactly its planned size: vLLM does not measure beside a neighbour."""
    n_threads: int = 0
    """Cores of a server without a GPU."""
    n_investigations: int
    """Investigations at once that are expected to fit, at half a window each."""
    notes: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        """Weights, working memory and KV cache; without the CUDA contexts."""
        return self.weights_bytes + self.working_bytes + self.kv_bytes

    @property
    def kv_bytes_per_gpu(self) -> int:
        """KV cache on each of its GPUs."""
        return self.kv_bytes // max(1, len(self.gpus))


class LaunchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Servers to be started, in this order, and why they are as they are."""

    hardware: HardwareProfile
    mode: Mode = "together"
    build: Build
    """Which build of vLLM the driver can run."""
    servers: tuple[ServerPlan, ...]
    """Largest first: the order in which they must be started, one by one."""
    cards: tuple[Sum, ...]
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> int:
        """What all servers take that are awake together, without CUDA contexts and margin."""
        sizes = [server.total_bytes for server in self.servers]
        return sum(sizes) if self.mode == "together" else max(sizes)


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Something else that would fit."""

    kind: Literal["coarser", "shorter", "sleep", "serial", "subset", "other"]
    text: str
    plan: LaunchPlan


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The set cannot be served at once here."""

    reason: str
    hardware: HardwareProfile
    steps: tuple[Step, ...] = ()
    offers: tuple[Offer, ...] = ()
    """Best first; empty only if no known model fits this machine."""
