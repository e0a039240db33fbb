"""A finished, running or killed run, read from its directory."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from engine.compare.cases import Case
from engine.compare.claims.counts import counts_of as claim_counts_of
from engine.compare.claims.values import Ledger
from engine.compare.comparing import compare
from engine.compare.measures import ArmSummary, Measures, measure, summarise
from engine.compare.result import Comparison
from engine.compare.turns import TurnCounts, counts_of
from engine.errors import UsageError
from engine.fold import transcripts
from engine.journal import read_events
from engine.manifest import Manifest, read_manifest
from engine.report.claims import ledgers_of
from engine.report.design import n_functions, question_of
from engine.report.heritage import heritage_file
from engine.report.introspection import Asked, Costs
from engine.report.purity import leaks_by_id, read_secrets
from engine.transcript import Investigation, Transcript


class Run(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What a run directory holds."""

    directory: Path
    manifest: Manifest
    transcripts: tuple[Transcript, ...]
    measures: tuple[Measures, ...]
    """One for each transcript, in the same order."""
    turns: tuple[tuple[TurnCounts, ...], ...]
    """As `measures`, turn by turn."""
    ledgers: tuple[Ledger, ...]
    """As `measures`: what was claimed, beside what was recorded."""
    introspection: tuple[Asked, ...] = ()
    """What questions about each model have cost; nothing for one that was not asked about."""

    @cached_property
    def comparison(self) -> Comparison:
        """How the arms differ."""
        return compare(self.cases(), question_of(self.manifest))

    @cached_property
    def heritage(self) -> dict[str, Any] | None:
        """What heritage.json holds; None: no phase grants documents."""
        secrets = read_secrets(self.directory)
        return heritage_file(self.manifest, self.transcripts, self.measures, secrets)

    def cases(self) -> tuple[Case, ...]:
        """Return every investigation with what was counted in it."""
        return tuple(map(Case, self.transcripts, self.turns, self.measures))

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the arms, in the order of the study."""
        return tuple(arm.model for arm in self.manifest.arms)

    def arms(self) -> tuple[ArmSummary, ...]:
        """Totals per model, in the order of the study."""
        return tuple(summarise(model, self.measures_of(model)) for model in self.models)

    def measures_of(self, model: str) -> tuple[Measures, ...]:
        """Return the measures of one model's investigations."""
        return tuple(item for item in self.measures if item.model == model)

    def transcripts_of(self, model: str) -> tuple[Transcript, ...]:
        """Return the transcripts of one model's investigations."""
        return tuple(item for item in self.transcripts if item.investigation.model == model)


def read_run(directory: Path) -> Run:
    """Return the run recorded in `directory`.

    Raises:
        UsageError: it is no run directory, is damaged, or was written by another version.
    """
    manifest = read_manifest(directory)
    costs = Costs()
    found = transcripts(costs.passing(read_events(directory / "events.jsonl")))
    check_named(found, manifest, directory)
    leaks = leaks_by_id(manifest, found, read_secrets(directory))
    granted = n_functions(manifest)
    turns = tuple(map(counts_of, found))
    ledgers = ledgers_of(manifest, found)
    return Run(
        directory=directory,
        manifest=manifest,
        transcripts=found,
        measures=tuple(
            measure(
                item,
                leaks[item.investigation.id],
                granted.get(item.investigation.phase),
                each,
                claim_counts_of(ledger),
            )
            for item, each, ledger in zip(found, turns, ledgers, strict=True)
        ),
        turns=turns,
        ledgers=ledgers,
        introspection=costs.asked(),
    )


def check_named(found: Iterable[Transcript], manifest: Manifest, directory: Path) -> None:
    """Raise UsageError unless the manifest in `directory` has the arms and phases of `found`."""
    check_cases((each.investigation for each in found), manifest, directory)


def check_cases(found: Iterable[Investigation], manifest: Manifest, directory: Path) -> None:
    """Raise UsageError unless the manifest in `directory` has the arms and phases of `found`."""
    models = [arm.model for arm in manifest.arms]
    phases = [phase.key for phase in manifest.phases]
    if not models:
        raise _foreign(directory, "names no arm")
    for case in found:
        for what, name, known in (("arm", case.model, models), ("phase", case.phase, phases)):
            if name not in known:
                raise _foreign(directory, f"names no {what} {name!r}, and {case.id} is recorded")


def _foreign(directory: Path, words: str) -> UsageError:
    return UsageError(
        f"{directory / 'manifest.json'}: {words}. The file was changed by hand or is of another "
        "run: restore the one that was written beside events.jsonl."
    )
