"""What a result depends on beside the study itself: versions, revision, machine."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engine.machine import n_cores, ram

_PACKAGES = ("phaselab", "openai", "xllamacpp", "numpy", "msgspec", "markdown-it-py", "jinja2")
_ROOT = Path(__file__).parents[2]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_revision() -> str | None:
    """Return the revision of this checkout, "+changes" when it differs; None outside of one."""
    revision = _git("rev-parse", "HEAD")
    if revision is None:
        return None
    return f"{revision}+changes" if _git("status", "--porcelain", "-uno") else revision


def machine() -> dict[str, str | int]:
    """Return what the engine ran on; no name that identifies it."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "n_cores": n_cores(),
        "memory_bytes": ram().total_bytes,
    }


def _git(*arguments: str) -> str | None:
    if not (_ROOT / ".git").exists():
        return None
    command = ["git", "-C", str(_ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
