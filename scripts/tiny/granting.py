"""What the tiny models are granted: what a run of the program grants, with or without a probe."""

from collections.abc import Mapping

from engine.cli.knowledge import Knowledge
from engine.cli.library import open_library
from engine.cli.options import Options
from engine.introspection.subject import Subject, available_capabilities


def bare_knowledge(subjects: Mapping[str, Subject]) -> Knowledge:
    """Return what is known of `subjects` (by name) on a machine that has nothing to probe with."""
    some = next(iter(subjects.values()))
    return Knowledge(
        subjects=dict(subjects),
        capabilities=available_capabilities(some.checkpoint, is_reported=True),
        library=open_library(Options()),
    )
