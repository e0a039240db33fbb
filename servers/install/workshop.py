"""One installation in progress: where it goes, how its programs run, where their output is kept."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


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
        ran = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_s,
            pass_fds=(self.lock_fd,),
        )
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(map(str, argv))}\n{ran.stdout}\n")
        if ran.returncode:
            raise StepError(ran.stdout)
        return ran.stdout

    def pip(self, *arguments: str | Path) -> None:
        """Install with pip.

        Raises:
            StepError: pip failed.
        """
        has_own = (self.directory / "bin" / "pip").exists()
        start = (self.python, "-I", "-m", "pip") if has_own else self._borrowed_pip()
        self.run(*start, "--disable-pip-version-check", "install", "--no-input", *arguments)

    def _borrowed_pip(self) -> tuple[str | Path, ...]:
        """Return our own pip, aimed at an environment without one.

        Debian and Colab split off the ensurepip that would put one there.
        """
        return (sys.executable, "-I", "-m", "pip", "--python", self.python)

    def uv_pip(self, *arguments: str | Path) -> None:
        """Install with uv, which knows by itself where PyTorch keeps its builds."""
        self.pip("uv>=0.9")
        uv = self.directory / "bin" / "uv"
        self.run(uv, "pip", "install", "--python", self.python, *arguments)
