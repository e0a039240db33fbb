"""Investigations that others branch off: their record is kept until the branch is reached."""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from engine.branch import Branch, Happening, first_experiments, happenings
from engine.errors import TrunkLostError
from engine.events import (
    AnyEvent,
    Event,
    ExperimentEnded,
    Fork,
    InvestigationEnded,
    InvestigationStarted,
)

_Reached = tuple[Happening, ...] | InvestigationEnded
"""What a branch inherits, or the end that left it without a beginning."""


class Trunks:
    """Keeps what is shared of what is recorded; belongs to the event loop that made it."""

    def __init__(
        self,
        branches: Mapping[str, Branch],
        recorded: Mapping[str, Sequence[AnyEvent]] = MappingProxyType({}),
    ) -> None:
        """Serve `branches`; `recorded` is what there is by now, by investigation."""
        loop = asyncio.get_running_loop()
        self._branches = branches
        self._reached: dict[Branch, asyncio.Future[_Reached]] = {
            branch: loop.create_future() for branch in branches.values()
        }
        self._kept: dict[str, list[AnyEvent]] = {
            branch.investigation: list(recorded.get(branch.investigation, ()))
            for branch in self._reached
        }
        for trunk, events in tuple(self._kept.items()):
            ends = [event for event in events if isinstance(event, InvestigationEnded)]
            is_over = bool(ends) and not ends[-1].stop_reason.is_infrastructure
            self._serve(trunk, ends[-1] if is_over else None)

    def hear(self, event: Event) -> None:
        """Keep the event if others branch off its investigation."""
        trunk = getattr(event, "investigation", None)
        if isinstance(event, AnyEvent) and trunk in self._kept:
            self._kept[trunk].append(event)
            if isinstance(event, ExperimentEnded | InvestigationEnded):
                self._serve(trunk, event if isinstance(event, InvestigationEnded) else None)

    async def fork(self, investigation: str) -> Fork | None:
        """Return what the investigation begins with, once that is there; None: nothing.

        Raises:
            TrunkLostError: infrastructure ended the one that it was to branch off.
        """
        branch = self._branches.get(investigation)
        if branch is None:
            return None
        reached = await asyncio.shield(self._reached[branch])
        if isinstance(reached, InvestigationEnded):
            raise TrunkLostError(
                f"{branch.investigation}, whose beginning it shares, ended by "
                f"{reached.stop_reason}: {reached.detail}"
            )
        return Fork(investigation=branch.investigation, events=reached)

    def _serve(self, trunk: str, end: InvestigationEnded | None) -> None:
        """Serve the branches of `trunk` that are reached by now, all of them when it has ended.

        Once none is left to be served, nothing more of the trunk is kept.
        """
        happened = happenings(self._kept[trunk])
        for branch in self._unserved(trunk):
            shared = first_experiments(happened, branch.n_experiments)
            if shared is not None:
                self._reached[branch].set_result(shared)
            elif end is not None:
                is_lost = end.stop_reason.is_infrastructure
                self._reached[branch].set_result(end if is_lost else happened)
        if not self._unserved(trunk):
            del self._kept[trunk]

    def _unserved(self, trunk: str) -> list[Branch]:
        return [
            branch
            for branch, reached in self._reached.items()
            if branch.investigation == trunk and not reached.done()
        ]


def has_begun(events: Sequence[AnyEvent]) -> bool:
    """Tell whether an investigation has something of its own or a beginning that it shares."""
    return any(
        isinstance(event, Happening) or (isinstance(event, InvestigationStarted) and event.fork)
        for event in events
    )
