"""How busy a server is, from its metrics."""

import re
from time import monotonic

import msgspec

from servers.launch.readiness import NoAnswerError, fetch_metrics

_SAMPLE = re.compile(r"^vllm:(\w+)\{[^}]*\} (\S+)$", re.MULTILINE)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What one server does at one moment."""

    n_running: int
    n_waiting: int
    kv_share: float
    """Share of the KV cache that is in use."""
    generated_tokens: int
    """Since the server began."""
    time_s: float
    """When, on a clock that only goes forward."""

    def tokens_per_s(self, before: "Load | None") -> float:
        """Return tokens generated per second since `before`; 0 without one."""
        if before is None or self.time_s <= before.time_s:
            return 0.0
        gained = max(0, self.generated_tokens - before.generated_tokens)
        return gained / (self.time_s - before.time_s)


def read_load(port: int) -> Load | None:
    """Ask the server on this port; None if it does not answer. Blocks: for a thread."""
    try:
        text = fetch_metrics(port)
    except NoAnswerError:
        return None
    return parse_load(text, time_s=monotonic())


def parse_load(text: str, *, time_s: float) -> Load:
    """Read the metrics that vLLM prints. Source: vLLM 0.32, /metrics."""
    sums: dict[str, float] = {}
    for name, value in _SAMPLE.findall(text):
        sums[name] = sums.get(name, 0.0) + float(value)
    return Load(
        n_running=int(sums.get("num_requests_running", 0)),
        n_waiting=int(sums.get("num_requests_waiting", 0)),
        kv_share=sums.get("kv_cache_usage_perc", 0.0),
        generated_tokens=int(sums.get("generation_tokens_total", 0)),
        time_s=time_s,
    )
