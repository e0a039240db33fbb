"""Before a run: can an arm see anything that its condition must not know?"""

from collections.abc import Iterator, Sequence
from functools import partial

from engine.cli.console import say
from engine.cli.library import Library, open_library
from engine.cli.options import Options
from engine.introspection.checkpoint import open_checkpoint
from engine.introspection.documents import Documents
from engine.introspection.generation import generated
from engine.introspection.heritage import Heritage
from engine.introspection.methods import methods_of
from engine.introspection.subject import Subject, available_capabilities
from engine.introspection.table import CapabilityTable
from engine.manifest import Certificate, LeakFacts
from engine.opening import prompt_of, system_prompt, words_on_documents
from engine.phase import HERITAGE, Phase
from engine.purity import Secrets, Text, leaks_in
from engine.standing import Standing
from servers.embedded.model import tiny_models

_SHOWN_LATER = ("system", "heritage")
"""Texts that are scanned as what they become."""


def secrets_of(sets: Library) -> Secrets:
    """Return what is hidden from conditions that have none of the `sets`."""
    return Secrets(
        terms=(HERITAGE, *_functions(sets["true"])),
        documents={
            kind: tuple(
                text for each in documents.all for text in (each.name, each.title, each.text)
            )
            for kind, documents in sets.items()
        },
    )


def _functions(documents: Documents) -> list[str]:
    dotted = methods_of(HERITAGE, Heritage(documents))
    return [name.partition(".")[2] for name in dotted]


def certify(phase: Phase, powers: CapabilityTable, secrets: Secrets) -> Certificate:
    """Return what an arm of `phase` can see before the first turn, scanned stage by stage.

    `powers`: the capabilities of a new investigation; they are granted more on the way.
    """
    scanned: dict[str, int] = {}
    leaks: list[LeakFacts] = []
    for experiment, texts in _stages(phase, powers):
        for each in texts:
            scanned[each.place] = scanned.get(each.place, 0) + len(each.text)
        leaks += [
            LeakFacts(
                place=leak.place, experiment=experiment, found=leak.found, excerpt=leak.excerpt
            )
            for leak in leaks_in(texts, phase, experiment, secrets)
        ]
    hidden = secrets.before()
    return Certificate(
        terms=secrets.terms,
        n_passages=len(hidden) - len(secrets.terms),
        scanned=scanned,
        leaks=tuple(leaks),
    )


def certificate_of(phase: Phase) -> Certificate:
    """Return the certificate of a phase that is not run, with the smallest model that ships.

    The probed modules are the same for every model and are scanned with a run.
    """
    library, model = open_library(Options()), tiny_models()[0]
    subject = Subject(open_checkpoint(model.directory))
    there = available_capabilities(subject.checkpoint, is_reported=True)
    powers = CapabilityTable(
        [name for name in phase.capabilities if name in there],
        subject=subject,
        generation=partial(generated, phase, Standing(), window=None),
        documents=library[phase.heritage.documents] if phase.heritage else None,
    )
    return certify(phase, powers, secrets_of(library))


def in_words(certificate: Certificate) -> str:
    """Return what a certificate says, for a person."""
    n_chars = sum(certificate.scanned.values())
    sought = f"{len(certificate.terms)} terms and {certificate.n_passages} passages"
    if not certificate.leaks:
        return f"clean; {n_chars} characters scanned for {sought} that it must not show"
    shown = (f"{leak.found!r} in {leak.place} of {leak.experiment!r}" for leak in certificate.leaks)
    return f"VIOLATED, comparisons leave it out: {'; '.join(shown)}"


def tell(phase: Phase, certificate: Certificate) -> None:
    """Say aloud what a phase gives away."""
    for leak in certificate.leaks:
        say(
            f"phase {phase.key} is not pure: its {leak.place} shows {leak.found!r} in "
            f"{leak.experiment!r} ({leak.excerpt}). It is run, and left out of comparisons."
        )


def _stages(phase: Phase, powers: CapabilityTable) -> Iterator[tuple[str, Sequence[Text]]]:
    opening = [Text("system prompt", system_prompt(phase, powers.lines))]
    for stage in phase.experiments:
        if phase.heritage and phase.heritage.begins == stage.name:
            powers.grant(HERITAGE)
        on_documents = words_on_documents(phase, stage, powers.lines)
        opening.append(Text("prompt", prompt_of(stage)))
        opening += (Text("words on documents", each) for each in on_documents)
        yield stage.name, [*opening, *_texts(phase), *_modules(powers)]
        opening = []


def _texts(phase: Phase) -> Iterator[Text]:
    for name, text in phase.texts:
        if name not in _SHOWN_LATER:
            yield Text(f"text {name!r}", str(text))


def _modules(powers: CapabilityTable) -> Iterator[Text]:
    for name, source in powers.modules.items():
        yield Text(f"docstrings of {name}", source)
