"""How long a study would take on planned servers, as far as runs on such servers are remembered."""

from dataclasses import dataclass

from cyclopts import Parameter

from engine.cli.counts import Count, Limit
from engine.cli.options import Deadline
from engine.cli.outlook import Limits, Outlook, advice, outlook, sentence
from engine.cli.paces import local_place, read_paces
from engine.cli.study import DEFAULT_CONCURRENCY
from engine.forecast import Work
from phases.load import get_phases
from servers.fit import LaunchPlan

_KINDS = {"vllm": "vllm", "llama.cpp": "embedded"}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much is to be done on the planned servers."""

    replicates: Count = 1
    """Investigations per model and phase."""
    concurrency: Limit = None
    """Investigations at once, per model. Default: 64."""
    deadline: Deadline = None
    """Say whether it will be met (11h30m, 45m, 90s)."""


def planned_outlook(plan: LaunchPlan, phases: tuple[str, ...], amount: Amount) -> Outlook:
    """Return how long the `phases` would take with every model of `plan`.

    Raises:
        UsageError: a phase is not known.
    """
    works = [
        Work(
            model=server.model,
            place=local_place(_KINDS[server.runtime], server.quantization, plan.hardware),
            phase=phase.key,
            phase_fingerprint=phase.fingerprint,
            n=amount.replicates,
            n_at_once=amount.concurrency or DEFAULT_CONCURRENCY,
            n_beside=len(plan.servers) - 1 if plan.mode == "together" else 0,
        )
        for server in plan.servers
        for phase in get_phases(phases, ())
    ]
    return outlook(works, read_paces(), is_in_turn=plan.mode != "together")


def forecast_text(found: Outlook, plan: LaunchPlan, amount: Amount) -> str:
    """Return an outlook in words, and what to change where it is too long."""
    n = len(plan.servers) * amount.replicates
    asked = min(amount.replicates, amount.concurrency or DEFAULT_CONCURRENCY)
    at_once = ", ".join(
        f"{min(asked, server.n_investigations)} of {server.model}" for server in plan.servers
    )
    limits = Limits(amount.deadline, amount.replicates, n)
    lines = [f"Forecast: {sentence(found)}", f"At once, at half a window each: {at_once}."]
    return "\n".join([*lines, *advice(found.band, limits)])
