"""What every test of the program needs: nothing of the user's own, and nothing left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.kept import read_kept, stop_kept


@pytest.fixture(autouse=True)
def own_cache(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Give the test a cache of its own, and end whatever it left serving there.

    What is installed for vLLM is in the user's: tests that need it keep that.
    """
    if request.node.get_closest_marker("vllm"):
        yield
        return
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    serving = tmp_path / "cache" / "phaselab" / "serving"
    for kept in read_kept(serving):
        stop_kept(serving, kept)
