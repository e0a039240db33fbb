"""What the arms of a study can find out about themselves: the same for all of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from engine.cli.console import say
from engine.cli.library import Library
from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.generation import Report
from engine.introspection.subject import OF_CHECKPOINT, Subject, available_capabilities
from engine.introspection.table import CapabilityTable
from engine.phase import Phase


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """The subjects of a study, and the capabilities that every one of them has."""

    subjects: dict[str, Subject]
    capabilities: tuple[str, ...]
    library: Library

    def powers(self, model: str, phase: Phase, report: Report) -> CapabilityTable:
        """Return a new table for one investigation: what the phase grants and every arm has.

        `report` tells what the engine has done for the investigation.
        """
        granted, subject = self.granted(phase), self.subjects[model]
        documents = self.library[phase.heritage.documents] if phase.heritage else None
        return CapabilityTable(granted, subject=subject, generation=report, documents=documents)

    def granted(self, phase: Phase) -> tuple[str, ...]:
        """Return the capabilities that an investigation of `phase` gets, whatever the model."""
        return tuple(name for name in phase.capabilities if name in self.capabilities)

    def fingerprint(self, model: str) -> str | None:
        """Return the hash of the model's checkpoint, or None when it cannot be read."""
        checkpoint = self.subjects[model].checkpoint
        return checkpoint.fingerprint if checkpoint else None


def open_knowledge(
    endpoints: Iterable[Endpoint], phases: Iterable[Phase], library: Library
) -> Knowledge:
    """Open the checkpoints of `endpoints`; what one arm lacks is withheld from all.

    Raises:
        NotReadyError: a checkpoint is damaged, or nothing that a phase grants is left.
    """
    subjects = {endpoint.model: _subject(endpoint) for endpoint in endpoints}
    blind = any(subject.checkpoint is None for subject in subjects.values())
    seen = None if blind else next(iter(subjects.values())).checkpoint
    knowledge = Knowledge(
        subjects=subjects,
        capabilities=available_capabilities(seen, is_reported=True),
        library=library,
    )
    for phase in phases:
        _tell_withheld(knowledge, phase)
    return knowledge


def _subject(endpoint: Endpoint) -> Subject:
    folder = endpoint.checkpoint
    return Subject(checkpoint=open_checkpoint(folder) if folder else None)


def _tell_withheld(knowledge: Knowledge, phase: Phase) -> None:
    withheld = [name for name in phase.capabilities if name not in knowledge.capabilities]
    names: dict[str, list[str]] = {}
    for name in withheld:
        names.setdefault(_reason(knowledge, name), []).append(name)
    told = [
        f"no introspection of {', '.join(each)} in any arm: {why}" for why, each in names.items()
    ]
    if withheld and not knowledge.granted(phase):
        raise NotReadyError(f"phase {phase.key} is left with nothing to grant: {' '.join(told)}")
    for each in told:
        say(f"phase {phase.key}: {each}")


def _reason(knowledge: Knowledge, name: str) -> str:
    """Return why no arm has the capability `name`, and the remedy if there is one."""
    blind = [model for model, subject in knowledge.subjects.items() if subject.checkpoint is None]
    if name in OF_CHECKPOINT and blind:
        models = ", ".join(blind)
        remedy = f"Name them with --checkpoint {blind[0]}=DIR."
        return f"the weights of {models} cannot be read. {remedy}"
    return "it is not to be had here."
