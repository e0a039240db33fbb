"""The arithmetic of the fit in words. Pure."""

from servers.fit.values import Step, Sum
from servers.hardware import GIB


def gib(n_bytes: int) -> str:
    """Bytes as people compare them with a card: 7.11 GiB."""
    return f"{n_bytes / GIB:.2f} GiB"


def step_text(step: Step) -> str:
    """One step in a line: what was tried and what came of it."""
    precisions = " + ".join(f"{model} {precision}" for model, precision in step.precisions)
    return f"{step.name}: {precisions}, context {step.context_tokens}: {_verdict(step)}"


def sum_text(one: Sum) -> str:
    """The whole arithmetic of a card in a line."""
    parts = [
        f"{gib(one.total_bytes)} of {one.name}",
        f"{gib(one.others_bytes)} other processes",
        f"{gib(one.contexts_bytes)} contexts",
        f"{gib(one.margin_bytes)} margin",
        f"{gib(one.weights_bytes)} weights",
        f"{gib(one.working_bytes)} working memory",
    ]
    return " - ".join(parts) + f" = {gib(one.kv_bytes)} for KV cache"


def refusal_text(step: Step) -> str:
    """Why even the last step did not fit."""
    one = step.tightest
    models = " and ".join(f"{model} at {precision}" for model, precision in step.precisions)
    together = " together" if len(step.precisions) > 1 else ""
    return (
        f"{models} do{'' if together else 'es'} not fit{together}: {sum_text(one)}, and "
        f"{gib(one.kv_needed_bytes)} are needed for {step.flags.n_windows:g} window of "
        f"{step.context_tokens} tokens; {gib(one.short_bytes)} short."
    )


def _verdict(step: Step) -> str:
    one = step.tightest
    each = f"{step.flags.n_windows:g} window{'' if step.flags.n_windows == 1 else 's'}"
    per_model = " per model" if len(one.models) > 1 else ""
    sums = f"{gib(one.kv_bytes)} left for KV cache, {gib(one.kv_needed_bytes)} needed for {each}"
    verdict = "fits" if one.short_bytes == 0 else f"{gib(one.short_bytes)} short"
    return f"{sums}{per_model}: {verdict}"
