"""What the questions of a run about its models have cost the host, summed over the journal."""

from collections.abc import Iterable, Iterator

import msgspec

from engine.events import AnyEvent, Cost, IntrospectionCosts


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked about one model, and computed for it."""

    model: str
    n_asked: int
    n_computed: int
    """The other questions were answered by what was kept of earlier ones."""
    compute_s: float
    methods: dict[str, Cost]
    """Dotted name -> its part, the one that took longest first."""


class Costs:
    """Collects costs from events that pass."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: dict[str, dict[str, Cost]] = {}

    def passing(self, events: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
        """Yield all `events`."""
        for event in events:
            if isinstance(event, IntrospectionCosts):
                known = self._found.setdefault(event.model, {})
                for name, cost in event.methods.items():
                    known[name] = _sum((known.get(name, Cost()), cost))
            yield event

    def asked(self) -> tuple[Asked, ...]:
        """Return what has passed until now, by model."""
        return tuple(_asked(model, methods) for model, methods in self._found.items())


def _asked(model: str, methods: dict[str, Cost]) -> Asked:
    total = _sum(methods.values())
    ordered = sorted(methods.items(), key=lambda item: (-item[1].compute_s, item[0]))
    return Asked(
        model=model,
        n_asked=total.n_asked,
        n_computed=total.n_computed,
        compute_s=total.compute_s,
        methods=dict(ordered),
    )


def _sum(costs: Iterable[Cost]) -> Cost:
    every = tuple(costs)
    return Cost(
        n_asked=sum(cost.n_asked for cost in every),
        n_computed=sum(cost.n_computed for cost in every),
        compute_s=sum(cost.compute_s for cost in every),
    )
