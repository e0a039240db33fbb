"""How busy a server is, from the metrics that it prints. Pure."""

import re
from collections import defaultdict
from contextlib import suppress

import msgspec

_SAMPLE = re.compile(r"^(?:vllm|llamacpp):(\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
_RUNNING = ("num_requests_running", "requests_processing")
_WAITING = ("num_requests_waiting", "requests_deferred")
_KV = ("kv_cache_usage_perc", "kv_cache_usage_ratio")
_GENERATED = ("generation_tokens_total", "tokens_predicted_total")
_LARGEST = 2.0**63


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one server does at one moment."""

    n_running: int
    n_waiting: int
    kv_share: float | None = None
    """Share of the KV cache that is in use, over all engines; None where it is not told."""
    generated_tokens: int
    """Since the server began."""
    n_preempted: int = 0
    """Requests that were thrown out of the KV cache half-way, since the server began."""
    prefix_queried_tokens: int = 0
    """Prompt tokens that were looked up in the prefix cache, since the server began."""
    prefix_hit_tokens: int = 0
    """Of them, those that were found."""
    time_s: float
    """When, on a clock that only goes forward."""

    def tokens_per_s(self, before: "Load | None") -> float:
        """Return tokens generated per second since `before`; 0 without one."""
        if before is None or self.time_s <= before.time_s:
            return 0.0
        gained = max(0, self.generated_tokens - before.generated_tokens)
        return gained / (self.time_s - before.time_s)

    @property
    def prefix_share(self) -> float | None:
        """Share of the prompt tokens that the prefix cache saved; None where it is not told."""
        queried = self.prefix_queried_tokens
        return self.prefix_hit_tokens / queried if queried else None


def parse_load(text: str, *, time_s: float) -> Load | None:
    """Read the metrics that vLLM or llama.cpp prints; None where there are none of theirs.

    The engines of one server are added up; their KV caches are of one size.

    Sources: vLLM 0.32, /metrics; llama.cpp server 2026.10, /metrics.
    """
    samples = _SAMPLE.findall(text)
    if not samples:
        return None
    numbers = _numbers(samples)

    def told(names: tuple[str, ...]) -> list[float]:
        return numbers[next((name for name in names if name in numbers), "")]

    def read(*names: str) -> float:
        return sum(told(names))

    shares = told(_KV)

    return Load(
        n_running=int(read(*_RUNNING)),
        n_waiting=int(read(*_WAITING)),
        kv_share=sum(shares) / len(shares) if shares else None,
        generated_tokens=int(read(*_GENERATED)),
        n_preempted=int(read("num_preemptions_total")),
        prefix_queried_tokens=int(read("prefix_cache_queries_total")),
        prefix_hit_tokens=int(read("prefix_cache_hits_total")),
        time_s=time_s,
    )


def _numbers(samples: list[tuple[str, str]]) -> defaultdict[str, list[float]]:
    """Return what is told of each name; NaN, +Inf and what is no number at all tell nothing."""
    numbers: defaultdict[str, list[float]] = defaultdict(list)
    for name, value in samples:
        with suppress(ValueError):
            if abs(number := float(value)) < _LARGEST:
                numbers[name].append(number)
    return numbers
