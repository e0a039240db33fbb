"""What the tiny models are granted: what a run of the program grants, with or without a probe."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.cli.knowledge import Knowledge
from engine.cli.library import open_library
from engine.cli.options import Options
from engine.cli.probing import opened_probes
from engine.errors import NotReadyError
from engine.introspection.checkpoint import Checkpoint
from engine.introspection.subject import Subject, available_capabilities


def bare_knowledge(subjects: Mapping[str, Subject]) -> Knowledge:
    """Return what is known of `subjects` (by name) on a machine that has nothing to probe with."""
    some = next(iter(subjects.values()))
    return Knowledge(
        subjects=dict(subjects),
        capabilities=available_capabilities(some.checkpoint, is_reported=True),
        library=open_library(Options()),
    )


@contextmanager
def probed_knowledge(
    checkpoints: Mapping[str, Checkpoint], *, log_dir: Path
) -> Generator[Knowledge]:
    """Yield what is known of `checkpoints` (by name) on a machine that can probe them all.

    Raises:
        NotReadyError: this machine cannot.
    """
    with opened_probes(checkpoints, log_dir=log_dir, promised_bytes=0) as probing:
        if not probing.probes:
            raise NotReadyError(probing.why_none)
        some = next(iter(checkpoints.values()))
        yield Knowledge(
            subjects={
                name: Subject(each, probe=probing.probes[name])
                for name, each in checkpoints.items()
            },
            capabilities=available_capabilities(some, is_reported=True, is_probed=True),
            library=open_library(Options()),
        )
