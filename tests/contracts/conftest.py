"""One pair of real vLLM servers on the CPU for the whole session.

vLLM itself is installed once, as `python -m engine.run install vllm --build cpu` does it.
"""

import logging
from collections.abc import Generator
from pathlib import Path

import pytest

from engine.settings import read_settings
from servers.embedded.model import tiny_models
from servers.install import directory_of, install
from servers.install.builds import BUILDS
from tests.contracts.vllm.pair import Served, make_start, served


@pytest.fixture(scope="session")
def vllm_program() -> Path:
    """Make sure that vLLM's CPU build is installed; return its program."""
    build = BUILDS["cpu"]
    directory = directory_of(build, read_settings().cache_dir)
    return install(build, directory, tell=logging.getLogger(__name__).warning)


@pytest.fixture(scope="session")
def vllm_pair(vllm_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """Two servers, `a` and `b`, of the two models that ship with the project."""
    starts = tuple(
        make_start(vllm_program, name, model)
        for name, model in zip("ab", tiny_models(), strict=True)
    )
    with served(starts, tmp_path_factory.mktemp("vllm_pair")) as pair:
        yield pair
