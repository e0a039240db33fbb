"""What the arms of a study can find out about themselves: the same for all of them."""

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.cli.console import say
from engine.cli.library import Library
from engine.cli.probing import Probing, opened_probes
from engine.cli.weights import open_weights
from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from engine.events import IntrospectionCosts
from engine.introspection.checkpoint import Checkpoint
from engine.introspection.generation import Report
from engine.introspection.probe import PROBED
from engine.introspection.subject import OF_CHECKPOINT, Subject, available_capabilities
from engine.introspection.table import CapabilityTable
from engine.manifest import ProbeFacts
from engine.phase import Phase

_ABOUT_THE_MODEL = frozenset((*OF_CHECKPOINT, *PROBED))
"""Capabilities that tell of the model itself: not of its notes, of documents or of how it is
asked."""


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """The subjects of a study, and the capabilities that every one of them has."""

    subjects: dict[str, Subject]
    capabilities: tuple[str, ...]
    library: Library
    probe: ProbeFacts | None = None
    """How the probes compute, where there are some."""

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

    def costs(self) -> Iterator[IntrospectionCosts]:
        """Yield what has been asked about each model until now, and what it cost."""
        for model, subject in self.subjects.items():
            if methods := subject.answers.costs:
                yield IntrospectionCosts(time=time.time(), model=model, methods=methods)

    def checkpoint(self, model: str) -> Checkpoint | None:
        """Return what is known of the model's weights, None when nothing is."""
        return self.subjects[model].checkpoint


@contextmanager
def opened_knowledge(
    endpoints: Iterable[Endpoint],
    phases: Sequence[Phase],
    library: Library,
    *,
    log_dir: Path,
    promised_bytes: int,
) -> Generator[Knowledge]:
    """Open the checkpoints of `endpoints`; what one arm lacks is withheld from all.

    On leaving, probes that were started are ended; their logs are in `log_dir`. They leave alone
    the `promised_bytes` of RAM that servers may still take.

    Raises:
        NotReadyError: a checkpoint is damaged, or of what a phase grants nothing is left, or
            nothing about the model.
    """
    found = {endpoint.model: _checkpoint(endpoint) for endpoint in endpoints}
    with ExitStack() as stack:
        probing = Probing()
        if _wants_probes(phases) and (readable := _all_readable(found)):
            probing = stack.enter_context(
                opened_probes(readable, log_dir=log_dir, promised_bytes=promised_bytes)
            )
        knowledge = _knowledge(found, probing, library)
        for phase in phases:
            _tell_withheld(knowledge, phase, probing.why_none)
        yield knowledge


def _checkpoint(endpoint: Endpoint) -> Checkpoint | None:
    if not endpoint.checkpoint:
        return None
    found = open_weights(endpoint.checkpoint)
    return msgspec.structs.replace(found, served_as=endpoint.quantization)


def _wants_probes(phases: Iterable[Phase]) -> bool:
    return any(name in PROBED for phase in phases for name in phase.capabilities)


def _all_readable(found: Mapping[str, Checkpoint | None]) -> dict[str, Checkpoint]:
    """Return the checkpoints by model if the values of all of them can be read, else nothing."""
    readable = {model: each for model, each in found.items() if each and not each.why_no_values}
    return readable if len(readable) == len(found) else {}


def _knowledge(
    found: Mapping[str, Checkpoint | None], probing: Probing, library: Library
) -> Knowledge:
    return Knowledge(
        subjects={
            model: Subject(checkpoint, probe=probing.probes.get(model))
            for model, checkpoint in found.items()
        },
        capabilities=available_capabilities(
            *found.values(), is_reported=True, is_probed=bool(probing.probes)
        ),
        probe=probing.facts,
        library=library,
    )


def _tell_withheld(knowledge: Knowledge, phase: Phase, why_no_probe: str) -> None:
    withheld = [name for name in phase.capabilities if name not in knowledge.capabilities]
    names: dict[str, list[str]] = {}
    for name in withheld:
        names.setdefault(_reason(knowledge, name, why_no_probe), []).append(name)
    told = [
        f"no introspection of {', '.join(each)} in any arm: {why}" for why, each in names.items()
    ]
    if lack := _lack(phase, knowledge.granted(phase)):
        raise NotReadyError(f"phase {phase.key} {lack}: {' '.join(told)}")
    for each in told:
        say(f"phase {phase.key}: {each}")


def _lack(phase: Phase, granted: Sequence[str]) -> str | None:
    """Return why the question of `phase` cannot be asked with what is `granted`, or None."""
    if not granted:
        return "is left with nothing to grant"
    if _ABOUT_THE_MODEL.isdisjoint(phase.capabilities) or not _ABOUT_THE_MODEL.isdisjoint(granted):
        return None
    return "asks models to measure themselves, and nothing about them can be granted"


def _reason(knowledge: Knowledge, name: str, why_no_probe: str) -> str:
    """Return why no arm has the capability `name`, and the remedy if there is one."""
    if name in (*OF_CHECKPOINT, *PROBED):
        if unknown := [name for name, each in knowledge.subjects.items() if not each.checkpoint]:
            flags = " ".join(f"--checkpoint {name}=DIR" for name in unknown)
            return (
                f"the weights of {', '.join(unknown)} cannot be read. Name them with {flags}, or "
                "with OWNER/NAME in place of DIR."
            )
        for model, subject in knowledge.subjects.items():
            if subject.checkpoint and subject.checkpoint.why_no_values:
                return f"the weights of {model} cannot be read: {subject.checkpoint.why_no_values}."
    return (name in PROBED and why_no_probe) or "it is not to be had here."
