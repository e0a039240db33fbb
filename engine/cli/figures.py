"""The figures of a run that is under way, in words: the same for every kind of display."""

from engine.cli.duration import span
from engine.cli.progress import Progress
from engine.cli.tallies import Tally
from engine.events import LoadSeen


def ends(tally: Tally) -> str:
    """Return how many investigations of a model ended by which reason."""
    return ", ".join(f"{count} {reason}" for reason, count in tally.ended.most_common())


def tokens_per_s(tally: Tally, now: float) -> str:
    """Return the tokens that a model writes per second at present; nothing once it is done."""
    return f"{tally.token_rate.per_s(now):,.0f}" if tally.left.total() else ""


def requests(tally: Tally) -> str:
    """Return how many requests a model's servers answer, queue, and were not sent yet."""
    loads = tally.loads.values()
    if not loads or not tally.left.total():
        return ""
    running = sum(_running(load) for load in loads)
    waiting = sum(load.n_waiting or 0 for load in loads)
    held = sum(load.n_held for load in loads)
    return f"{running}+{waiting}+{held}"


def kv_use(tally: Tally) -> str:
    """Return the share of the KV cache in use, that of the fullest server."""
    shares = [load.kv_share for load in tally.loads.values() if load.kv_share is not None]
    return f"{max(shares):.0%}" if shares and tally.left.total() else ""


def cached(tally: Tally) -> str:
    """Return the share of the prompts' tokens that the servers' prefix caches saved."""
    usage = tally.usage
    if usage.cached_tokens:
        return f"{usage.cached_tokens / usage.prompt_tokens:.0%}"
    told = [load.prefix_share for load in tally.loads.values() if load.prefix_share]
    return f"{max(told):.0%}" if told else ""


def left(progress: Progress, model: str, now: float) -> str:
    """Return about how long a model still needs; nothing once it is done."""
    seconds = progress.left_s(model, now)
    return span(seconds) if seconds else ""


def _running(load: LoadSeen) -> int:
    return load.n_in_flight if load.n_running is None else load.n_running
