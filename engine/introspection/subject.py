"""The model under investigation, as the host can see it: one per arm, shared by all."""

from engine.introspection.answers import SharedAnswers
from engine.introspection.architecture import Architecture
from engine.introspection.checkpoint import Checkpoint
from engine.introspection.stubs import module_source
from engine.introspection.weights import Weights

OF_CHECKPOINT = ("architecture", "weights")
"""Capabilities that answer from the checkpoint alone."""


class Subject:
    """One model: what its checkpoint tells, and the answers already computed about it."""

    def __init__(
        self, checkpoint: Checkpoint | None = None, *, answers: SharedAnswers | None = None
    ) -> None:
        """Answer about `checkpoint`, None if it cannot be read; share `answers` if given."""
        self.checkpoint = checkpoint
        self.answers = answers or SharedAnswers()
        self._stubs: dict[str, str] = {}
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

    def stub(self, name: str, source: object) -> str:
        """Return the module that model code imports for `source`; one text for all tables."""
        if name not in self._stubs:
            self._stubs[name] = module_source(name, source)
        return self._stubs[name]


def available_capabilities(
    checkpoint: Checkpoint | None, *, is_reported: bool = False, has_documents: bool = False
) -> tuple[str, ...]:
    """Return the names of the capabilities that can be granted.

    `checkpoint` is that of the model, None if it cannot be read; `is_reported` says that the
    engine will tell the table what it generates, `has_documents` that there are some to read.
    """
    of_checkpoint = () if checkpoint is None else OF_CHECKPOINT
    of_engine = ("generation",) if is_reported else ()
    of_documents = ("heritage",) if has_documents else ()
    return (*of_checkpoint, "memory", *of_engine, *of_documents)
