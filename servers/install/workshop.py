"""One installation in progress: where it goes, how its programs run, where their output is kept."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def has_pip() -> bool:
    """Say whether our own Python has a pip, which can install into any other environment."""
    return importlib.util.find_spec("pip") is not None


class StepError(Exception):
    """One program of a recipe failed; the text is its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """One installation in progress: where it goes, where its log is, who is told."""

    directory: Path
    log: Path
    lock_fd: int
    tell: Callable[[str], None]

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        return self.directory / "bin" / "python"

    def run(self, *argv: str | Path, timeout_s: float | None = None) -> str:
        """Run one program to its end, its output appended to the log and returned.

        The child holds the lock too: while one that outlived us still writes, nobody else begins.

        Raises:
            StepError: it exited with another code than 0.
            subprocess.TimeoutExpired: it took longer than `timeout_s`, and was killed.
        """
        with self.log.open("ab+") as log:
            log.write(f"$ {' '.join(map(str, argv))}\n".encode())
            log.flush()
            begin = log.tell()
            ran = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=timeout_s,
                pass_fds=(self.lock_fd,),
            )
            log.seek(begin)
            said = log.read().decode(errors="replace")
        if ran.returncode:
            raise StepError(said)
        return said

    def pip(self, *arguments: str | Path) -> None:
        """Install with pip.

        Raises:
            StepError: pip failed.
        """
        start = (
            (sys.executable, "-I", "-m", "pip", "--python", self.python)
            if has_pip()
            else (self.python, "-I", "-m", "pip")
        )
        self.run(*start, "--disable-pip-version-check", "install", "--no-input", *arguments)

    def uv_pip(self, *arguments: str | Path) -> None:
        """Install with uv, which knows by itself where PyTorch keeps its builds."""
        self.pip("uv>=0.9")
        uv = self.directory / "bin" / "uv"
        self.run(uv, "pip", "install", "--python", self.python, *arguments)
