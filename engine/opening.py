"""What an experiment begins with: the system prompt, its own, and the words on documents. Pure."""

from collections.abc import Sequence

from engine.phase import HERITAGE, Experiment, Phase
from engine.prompts import render

Lines = Sequence[tuple[str, str]]
"""(introspection module, one line about it), of what is granted."""


def system_prompt(phase: Phase, lines: Lines) -> str:
    """Return the message that opens an investigation."""
    return render(
        phase.texts.system,
        modules=tuple(lines),
        names=[name for name, _ in lines],
        done_signal=phase.rules.done_signal,
    )


def prompt_of(experiment: Experiment) -> str:
    """Return the prompt of an experiment."""
    return render(experiment.prompt, max_turns=experiment.max_turns)


def words_on_documents(phase: Phase, experiment: Experiment, lines: Lines) -> tuple[str, ...]:
    """Return what is said after the prompt where the documents are granted, else nothing.

    `lines` tell of the documents, too, from where they begin.
    """
    if not phase.has_heritage(experiment.name):
        return ()
    line = dict(lines)[HERITAGE]
    word = render(phase.texts.heritage, line=line, has_code=experiment.has_code)
    more = render(experiment.prompt_on_documents or "", max_turns=experiment.max_turns)
    return (word, more)
