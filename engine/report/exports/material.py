"""What every export is made from: a run, read investigation by investigation, redacted once."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from pydantic import ValidationError

from engine.errors import UsageError
from engine.events import AnyEvent, InvestigationEnded, RunEnded, RunStarted
from engine.journal import read_events
from engine.manifest import Arm, Manifest, read_manifest
from engine.report.naming import redaction_for
from engine.report.redaction import Redaction
from engine.report.stream import Recorded, recorded_in


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """A run as exports see it. No text in it has a secret or a local path."""

    directory: Path
    """Where the run is: to read from, not to be written into an export."""
    manifest: Manifest
    redaction: Redaction
    models: tuple[str, ...]
    """Arms that are exported."""

    def recorded(self) -> Iterator[Recorded]:
        """Yield the investigations of these arms, in the order of their ends."""
        for each in recorded_in(self.directory, self.manifest, self.redaction):
            if each.transcript.investigation.model in self.models:
                yield each

    def extent(self) -> "Extent":
        """Return what the engine was to do, and whether it did."""
        return _extent(read_events(self.directory / "events.jsonl"))

    def arm(self, model: str) -> Arm:
        """Return the arm called `model`."""
        return next(arm for arm in self.manifest.arms if arm.model == model)


class Extent(NamedTuple):
    """How far the work on a run went."""

    n_investigations: int
    """Of all stages that were begun, those that were never taken up included."""
    end: RunEnded | None
    """None: the engine works on it, or was killed."""


def _extent(events: Iterable[AnyEvent]) -> Extent:
    ended: set[str] = set()
    n_investigations, end = 0, None
    for event in events:
        match event:
            case InvestigationEnded() if not event.stop_reason.is_infrastructure:
                ended.add(event.investigation)
            case RunStarted():
                n_investigations, end = (
                    max(n_investigations, len(ended) + event.investigations),
                    None,
                )
            case RunEnded():
                end = event
            case _:
                pass
    return Extent(n_investigations, end)


def material_of(directory: Path, models: Sequence[str], secrets: Sequence[str]) -> Material:
    """Return the run in `directory`; `models`: only these arms; `secrets`: values of its keys.

    Raises:
        UsageError: it is no run directory, or has no such arm.
    """
    manifest = read_manifest(directory)
    redaction = redaction_for(manifest, directory, secrets)
    known = [arm.model for arm in manifest.arms]
    for name in models:
        if name not in known:
            raise UsageError(f"--model {name!r}: this run has the arms {', '.join(known)}.")
    return Material(
        directory=directory,
        manifest=_redacted(manifest, redaction),
        redaction=redaction,
        models=tuple(models) or tuple(known),
    )


def _redacted(manifest: Manifest, redaction: Redaction) -> Manifest:
    try:
        return Manifest.model_validate(redaction.value(manifest.model_dump(mode="json")))
    except ValidationError as error:
        raise UsageError(
            "the key of an endpoint is a word that every manifest has, and cannot be taken out of "
            "it. Export without the variable that holds it, such as OPENAI_API_KEY."
        ) from error
