"""A hub for tests: a process of its own on loopback, and the environment that leads to it."""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class Hub(NamedTuple):
    root: Path
    """OWNER/NAME below it is a repository."""
    log: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What a program is started with to look here and nowhere else."""
        cache = str(self.root.parent / "hub-cache")
        return {
            "PATH": "/usr/bin:/bin",
            "HF_ENDPOINT": self.url,
            "HF_HOME": cache,
            "XDG_CACHE_HOME": cache,
            "HOME": cache,
        }

    def requests(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines]


@contextmanager
def serving_hub(folder: Path) -> Generator[Hub]:
    """Serve what is put below `root`."""
    root, log = folder / "hub", folder / "requests.jsonl"
    root.mkdir()
    command = [sys.executable, Path(__file__).with_name("hub_server.py"), root, log]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        port = int(server.stdout.readline())
        try:
            yield Hub(root, log, f"http://127.0.0.1:{port}")
        finally:
            server.kill()
