"""What tokens cost. Pure."""

from collections.abc import Iterable

import msgspec

from engine.endpoint import Prices
from engine.events import AnyEvent, Compacted, CompletionReceived, InvestigationStarted
from engine.transcript import Usage

_MILLION = 1_000_000


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one model has cost, everything that was asked for counted."""

    amount: float
    currency: str
    prompt_tokens: int
    cached_tokens: int
    """Of them, those that the server had in its cache."""
    completion_tokens: int


def cost(prices: Prices, usage: Usage) -> float:
    """Return what `usage` costs, in the currency of `prices`."""
    fresh = usage.prompt_tokens - usage.cached_tokens
    cached = prices.prompt if prices.cached is None else prices.cached
    total = fresh * prices.prompt + usage.cached_tokens * cached
    return (total + usage.completion_tokens * prices.completion) / _MILLION


def cost_of(prices: Prices, usage: Usage) -> Cost:
    """Return the cost of `usage` and what it is made of."""
    return Cost(
        amount=round(cost(prices, usage), 6),
        currency=prices.currency,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
    )


def spent(events: Iterable[AnyEvent]) -> dict[str, Usage]:
    """Return the tokens of every completion that was received, by model.

    Those of investigations that failed count, and those of summaries; what an investigation has
    in common with the one that it branched off was paid for there.
    """
    models: dict[str, str] = {}
    sums: dict[str, Usage] = {}
    for event in events:
        match event:
            case InvestigationStarted():
                models[event.investigation] = event.model
            case CompletionReceived() | Compacted():
                model = models[event.investigation]
                sums[model] = sums.get(model, Usage()) + event.completion.usage
            case _:
                pass
    return sums
