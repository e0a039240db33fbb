"""Real probes of the tiny models, for tests."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from engine.cli.probing import candidates
from engine.introspection.checkpoint import Checkpoint, open_checkpoint
from servers.embedded.model import tiny_models
from servers.probe.client import ANSWER_S, Start, TorchProbe
from servers.probe.interpreter import Interpreter, find_interpreter


def interpreter() -> Interpreter:
    """The Python that runs probes here."""
    found = find_interpreter(candidates())
    assert found, "run: python -m engine.run install vllm --build cpu"
    return found


def directory_of(key: str) -> Path:
    return next(model.directory for model in tiny_models() if model.key == key)


def start_of(directory: Path, log: Path) -> Start:
    return Start(
        python=interpreter().python, checkpoint=directory, dtype="float32", n_threads=1, log=log
    )


@contextmanager
def probing(
    key: str, log: Path, *, answer_s: float = ANSWER_S
) -> Generator[tuple[Checkpoint, TorchProbe]]:
    """The checkpoint of a tiny model, and its probe; no process before the first question."""
    directory = directory_of(key)
    with TorchProbe(start_of(directory, log), answer_s=answer_s) as probe:
        yield open_checkpoint(directory), probe
