"""What the launcher is given and what it tells, as values."""

import re
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

State = Literal[
    "starting",
    "download",
    "load",
    "compile",
    "ready",
    "repairing",
    "died",
    "lost",
    "stopped",
]
"""Where a server is. "died": it will be started again; "lost": it will not."""


class ServerStart(msgspec.Struct, frozen=True, kw_only=True):
    """How one server is started: everything but its address, which the launcher chooses."""

    model: str
    """Name of the arm, and what the server calls the model."""
    argv: tuple[str, ...]
    """The program and its arguments, without --host and --port."""
    environment: Mapping[str, str]
    """The whole environment of the process. An API key is in VLLM_API_KEY, if there is one."""
    checkpoint: str | None = None
    """Directory of the weights, where they are local."""
    max_model_len: int | None = None
    """Planned context window, tokens."""
    needs_bytes: int = 0
    """Memory of one card that the plan counts on: below that, a repair is no repair."""
    kv_bytes: int | None = None
    """Planned KV cache on one card, to compare with what was obtained."""
    gpu: str = "cpu"
    """Name of the card, under which measured starts are remembered."""

    @property
    def file_name(self) -> str:
        """The model's name as a file may be called."""
        return re.sub(r"[^\w.-]", "_", self.model)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One step in the life of a server."""

    model: str
    state: State
    elapsed_s: float
    """Seconds since this start of the server began."""
    detail: str = ""


Tell = Callable[[Progress], None]


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long the launcher waits, and how often it tries."""

    start_s: float = 3600.0
    """Longest start, the download of the weights included."""
    silent_s: float = 600.0
    """Longest time in which a starting server may write nothing to its log."""
    poll_s: float = 0.2
    """Time between two looks at a starting server."""
    answer_s: float = 120.0
    """Longest wait for the first completion: it compiles what the start left over."""
    term_s: float = 8.0
    """Time a server has to end by itself before it is killed; vLLM takes 3 to 4 s,
    and 5 s more while it lets requests end.

    Source: serving-gpu.md section 4 and serving-cpu.md section 1, measured.
    """
    n_restarts: int = 3
    """Most restarts of one server that died."""
    backoff_s: float = 1.0
    """Pause before the first restart; doubles each time."""


class Obtained(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said of itself while it started. None: it did not say."""

    kv_tokens: int | None = None
    """Tokens that the KV cache holds."""
    kv_bytes: int | None = None
    weights_bytes: int | None = None
    activation_bytes: int | None = None
    graphs_bytes: int | None = None
    recommended_kv_bytes: int | None = None
    """KV cache with which the server says it would use exactly the memory it may use."""
