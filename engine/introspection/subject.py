"""The model under investigation, as the host can see it: one per arm, shared by all."""

from engine.introspection.answers import SharedAnswers
from engine.introspection.architecture import Architecture
from engine.introspection.checkpoint import Checkpoint
from engine.introspection.weights import Weights

OF_CHECKPOINT = ("architecture", "weights")
"""Capabilities that need the checkpoint's files."""
OF_INVESTIGATION = ("memory", "generation")
"""Capabilities that every investigation can have."""


class Subject:
    """One model: what its checkpoint tells, and the answers already computed about it."""

    def __init__(
        self, checkpoint: Checkpoint | None = None, *, answers: SharedAnswers | None = None
    ) -> None:
        """Answer about `checkpoint`, None if it cannot be read; share `answers` if given."""
        self.checkpoint = checkpoint
        self.answers = answers or SharedAnswers()
        self.sources: dict[str, object] = {}
        """Capability -> object whose public methods answer; their answers never change."""
        if checkpoint is not None:
            self.sources = {
                "architecture": Architecture(checkpoint),
                "weights": Weights(checkpoint),
            }

    @property
    def fingerprint(self) -> str:
        """Address of the model's content in the shared answers."""
        return self.checkpoint.fingerprint if self.checkpoint else ""


def available_capabilities(checkpoint: Checkpoint | None) -> tuple[str, ...]:
    """Return the names of the capabilities that can be granted with this checkpoint, or none."""
    return OF_INVESTIGATION if checkpoint is None else (*OF_CHECKPOINT, *OF_INVESTIGATION)
