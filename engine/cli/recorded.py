"""What the journal holds of a run that is taken up again, as far as that is needed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from engine.budget import Ledger
from engine.cli.study import Study
from engine.events import AnyEvent, InvestigationStarted
from engine.fold import investigation_of
from engine.index import Entry, open_index
from engine.journal import read_events
from engine.transcript import Investigation


class Recorded(NamedTuple):
    """A run so far; as it is, one that has not begun."""

    events: Mapping[str, Sequence[AnyEvent]] = MappingProxyType({})
    """By id: all of those that are to go on, and of those that others branch off."""
    ended: frozenset[str] = frozenset()
    """Investigations that the model ended by itself."""
    spent: Ledger = Ledger()
    """By all investigations together."""

    @property
    def has_begun(self) -> bool:
        """Whether anything is recorded."""
        return bool(self.events or self.ended)


def recorded_in(run_dir: Path, study: Study) -> Recorded:
    """Return what is recorded in `run_dir` of `study`; the journal must not be written meanwhile.

    Raises:
        UsageError: there is no journal that can be read.
    """
    trunks = {branch.investigation for branch in study.branches().values()}
    with open_index(run_dir) as index:
        entries = index.entries()
        ended = frozenset(entry.id for entry in entries if _is_over(entry))
        wanted = [e.id for e in entries if study.fork or e.id not in ended or e.id in trunks]
        events = {name: index.events(name) for name in wanted}
    return Recorded(events=events, ended=ended, spent=_sum(entries))


def cases_in(run_dir: Path) -> Iterator[Investigation]:
    """Yield every investigation that was begun in `run_dir`.

    Raises:
        UsageError: there is no journal that can be read.
    """
    for event in read_events(run_dir / "events.jsonl"):
        if isinstance(event, InvestigationStarted):
            yield investigation_of(event)


def _is_over(entry: Entry) -> bool:
    return entry.stop_reason is not None and not entry.stop_reason.is_infrastructure


def _sum(entries: Iterable[Entry]) -> Ledger:
    found = tuple(entries)
    return Ledger(
        turns=sum(entry.turns for entry in found), tokens=sum(entry.tokens for entry in found)
    )
