"""What is asked for: models x phases x replicates, and how they are served."""

from dataclasses import dataclass

from engine.cli.options import Options
from engine.cli.serving import Serving
from engine.phase import Phase
from engine.runner import plan
from engine.transcript import Investigation

DEFAULT_CONCURRENCY = 64
"""Investigations at once, per model: twice the slots of an embedded server keep it busy."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study, before anything is started."""

    serving: Serving
    phases: tuple[Phase, ...]
    options: Options

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the arms."""
        return self.serving.models

    @property
    def concurrency(self) -> int:
        """Investigations at once, per model."""
        return self.options.concurrency or DEFAULT_CONCURRENCY

    def investigations(self) -> tuple[Investigation, ...]:
        """Return every investigation of the study, arms interleaved."""
        return plan(
            models=self.models,
            phases=[phase.key for phase in self.phases],
            replicates=self.options.replicates,
            seed=self.options.seed,
        )

    def phase(self, key: str) -> Phase:
        """Return the phase called `key`."""
        return next(phase for phase in self.phases if phase.key == key)
