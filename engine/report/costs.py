"""What a run has cost, where prices were given."""

from engine.compare.costs import Cost, cost_of, spent
from engine.endpoint import Prices
from engine.journal import read_events
from engine.report.run import Run
from engine.transcript import Usage


def costs(run: Run) -> dict[str, Cost]:
    """Return the cost of every model that has a price.

    One whose server told no token counts at all has none that is known, and is left out.
    """
    prices = {
        arm.model: Prices(**arm.prices.model_dump()) for arm in run.manifest.arms if arm.prices
    }
    if not prices:
        return {}
    usage = spent(read_events(run.directory / "events.jsonl"))
    return {
        model: cost_of(each, usage.get(model, Usage()))
        for model, each in prices.items()
        if usage.get(model) != Usage()
    }
