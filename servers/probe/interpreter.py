"""Looks for a Python that can run a probe: one with torch and transformers."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

_EXAMINE_S = 60
_EXAMINE = """
import importlib.metadata, importlib.util, json, pathlib, sys
needed = ("torch", "transformers", "numpy", "msgspec")
lacking = [name for name in needed if importlib.util.find_spec(name) is None]
if lacking or sys.version_info < (3, 11):
    sys.exit(1)
package = pathlib.Path(importlib.util.find_spec("transformers").origin).parent
print(json.dumps({
    "python": sys.executable,
    "torch": importlib.metadata.version("torch"),
    "transformers": importlib.metadata.version("transformers"),
    "families": str(package / "models"),
}))
"""


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python with all that a probe needs."""

    python: str
    torch: str
    transformers: str
    """Versions."""
    families: str
    """Directory with one package per model type that transformers knows."""

    def knows(self, model_type: object) -> bool:
        """Tell whether its transformers has models of this type."""
        family = str(model_type).replace("-", "_")
        return (Path(self.families) / family / f"modeling_{family}.py").is_file()


def find_interpreter(candidates: Iterable[Path]) -> Interpreter | None:
    """Return the first of `candidates` that has all that a probe needs. Imports none of it."""
    return next((found for each in candidates if (found := _examined(each))), None)


def _examined(python: Path) -> Interpreter | None:
    try:
        said = subprocess.run(
            [python, "-I", "-c", _EXAMINE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            env={},
            timeout=_EXAMINE_S,
        ).stdout
        return msgspec.json.decode(said, type=Interpreter)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        return None
