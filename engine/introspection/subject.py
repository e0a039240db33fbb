"""The model under investigation, as the host can see it: one per arm, shared by all."""

from collections.abc import Mapping

from engine.introspection.activations import Activations
from engine.introspection.answers import SharedAnswers, Threads
from engine.introspection.architecture import Architecture
from engine.introspection.arguments import canonical
from engine.introspection.attention import Attention
from engine.introspection.background import Background
from engine.introspection.checkpoint import Checkpoint
from engine.introspection.gradient import Gradient
from engine.introspection.methods import Method, methods_of
from engine.introspection.probe import PROBED, Insides, Probe
from engine.introspection.stubs import module_source
from engine.introspection.temporal import Temporal
from engine.introspection.weights import Weights

_N_WAITING = 8
"""Questions that a probe is given at once."""
OF_CHECKPOINT = ("architecture", "weights")
"""Capabilities that answer from the checkpoint alone."""


class Subject:
    """One model: what its checkpoint tells, and the answers already computed about it."""

    def __init__(
        self,
        checkpoint: Checkpoint | None = None,
        *,
        answers: SharedAnswers | None = None,
        probe: Probe | None = None,
    ) -> None:
        """Answer about `checkpoint`, None if it cannot be read; share `answers` if given.

        `probe` holds the weights of `checkpoint`, where there is one.
        """
        self.checkpoint = checkpoint
        self.answers = answers or SharedAnswers()
        self.insides = Insides(probe, checkpoint) if probe and checkpoint else None
        self._stubs: dict[str, str] = {}
        self.sources: dict[str, object] = {}
        """Capability -> object whose public methods answer; their answers never change."""
        if checkpoint is not None and checkpoint.parameters:
            self.sources["architecture"] = Architecture(checkpoint)
            if not checkpoint.why_no_values:
                self.sources["weights"] = Weights(checkpoint)
        if self.insides is not None:
            self.sources |= _probed(self.insides)
        self.methods = {
            dotted: method
            for name, source in self.sources.items()
            for dotted, method in methods_of(name, source).items()
        }
        # Questions that wait at the same time are answered together where they can be.
        self._waiting: Threads = Background(n_threads=_N_WAITING)

    @property
    def fingerprint(self) -> str:
        """Address of the model's content in the shared answers."""
        return self.checkpoint.fingerprint if self.checkpoint else ""

    def stub(self, name: str, source: object) -> str:
        """Return the module that model code imports for `source`; one text for all tables."""
        if name not in self._stubs:
            self._stubs[name] = module_source(name, source)
        return self._stubs[name]

    async def ask(self, method: str, arguments: Mapping[str, object]) -> object:
        """Return the shared answer to a question whose answer never changes.

        Raises:
            CapabilityError: it cannot be answered; for the model to see.
            InvestigationError: the host failed.
        """
        found: Method = self.methods[method]
        key = self.fingerprint.encode() + canonical(method, arguments)
        compute = found.bound(arguments)
        if method.partition(".")[0] in PROBED:
            return await self.answers.answer(key, method, compute, on=self._waiting)
        return await self.answers.answer(key, method, compute)


def _probed(insides: Insides) -> dict[str, object]:
    return {
        "activations": Activations(insides),
        "temporal": Temporal(insides),
        "attention": Attention(insides),
        "gradient": Gradient(insides),
    }


def available_capabilities(
    *checkpoints: Checkpoint | None,
    is_reported: bool = False,
    has_documents: bool = False,
    is_probed: bool = False,
) -> tuple[str, ...]:
    """Return the names of the capabilities that can be granted, the same to all arms.

    `checkpoints` are those of the arms, None for one that cannot be read; `is_reported` says that
    the engine will tell the tables what it generates, `has_documents` that there are some to read,
    `is_probed` that probes hold the weights.
    """
    has_parameters = bool(checkpoints) and all(each and each.parameters for each in checkpoints)
    has_values = has_parameters and not any(each and each.why_no_values for each in checkpoints)
    of_probe = PROBED if is_probed and has_values else ()
    of_engine = ("generation",) if is_reported else ()
    of_documents = ("heritage",) if has_documents else ()
    of_checkpoint = OF_CHECKPOINT if has_values else ("architecture",) if has_parameters else ()
    return (*of_checkpoint, *of_probe, "memory", *of_engine, *of_documents)
