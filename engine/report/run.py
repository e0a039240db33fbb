"""A finished, running or killed run, read from its directory."""

from pathlib import Path

import msgspec

from engine.compare.measures import ArmSummary, Measures, measure, summarise
from engine.fold import transcripts
from engine.journal import read_events
from engine.manifest import Manifest, read_manifest
from engine.report.purity import leaks_by_id, read_secrets
from engine.transcript import Transcript


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a run directory holds."""

    directory: Path
    manifest: Manifest
    transcripts: tuple[Transcript, ...]
    measures: tuple[Measures, ...]
    """One for each transcript, in the same order."""

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
        UsageError: it is no run directory, or was written by another version.
    """
    manifest = read_manifest(directory)
    found = transcripts(read_events(directory / "events.jsonl"))
    leaks = leaks_by_id(manifest, found, read_secrets(directory))
    return Run(
        directory=directory,
        manifest=manifest,
        transcripts=found,
        measures=tuple(measure(item, leaks[item.investigation.id]) for item in found),
    )
