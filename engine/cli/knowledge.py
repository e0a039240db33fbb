"""What the arms of a study can find out about themselves: the same for all of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from engine.cli.console import say
from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.subject import Subject, available_capabilities
from engine.introspection.table import CapabilityTable
from engine.phase import Phase


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """The subjects of a study, and the capabilities that every one of them has."""

    subjects: dict[str, Subject]
    capabilities: tuple[str, ...]

    def powers(self, model: str, phase: Phase) -> CapabilityTable:
        """Return a new table for one investigation: what the phase grants and every arm has."""
        return CapabilityTable(self.granted(phase), subject=self.subjects[model])

    def granted(self, phase: Phase) -> tuple[str, ...]:
        """Return the capabilities that an investigation of `phase` gets, whatever the model."""
        return tuple(name for name in phase.capabilities if name in self.capabilities)

    def fingerprint(self, model: str) -> str | None:
        """Return the hash of the model's checkpoint, or None when it cannot be read."""
        checkpoint = self.subjects[model].checkpoint
        return checkpoint.fingerprint if checkpoint else None


def open_knowledge(endpoints: Iterable[Endpoint], phases: Iterable[Phase]) -> Knowledge:
    """Open the checkpoints of `endpoints`; what one arm lacks is withheld from all.

    Raises:
        NotReadyError: a checkpoint is damaged, or nothing that a phase grants is left.
    """
    subjects = {endpoint.model: _subject(endpoint) for endpoint in endpoints}
    blind = any(subject.checkpoint is None for subject in subjects.values())
    seen = None if blind else next(iter(subjects.values())).checkpoint
    knowledge = Knowledge(subjects=subjects, capabilities=available_capabilities(seen))
    for phase in phases:
        _tell_withheld(knowledge, phase)
    return knowledge


def _subject(endpoint: Endpoint) -> Subject:
    folder = endpoint.checkpoint
    return Subject(checkpoint=open_checkpoint(folder) if folder else None)


def _tell_withheld(knowledge: Knowledge, phase: Phase) -> None:
    withheld = [name for name in phase.capabilities if name not in knowledge.capabilities]
    if not withheld:
        return
    blind = [name for name, subject in knowledge.subjects.items() if subject.checkpoint is None]
    remedy = f"Name the weights with --checkpoint {blind[0]}=DIR." if blind else ""
    words = f"phase {phase.key}: no introspection of {', '.join(withheld)} in any arm"
    if not knowledge.granted(phase):
        raise NotReadyError(f"{words}, and nothing else is granted. {remedy}")
    say(f"{words}, since the weights of {', '.join(blind)} cannot be read. {remedy}")
