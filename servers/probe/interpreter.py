"""Looks for a Python that can run a probe: one with torch and transformers."""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

_EXAMINE_S = 60
_EXAMINE = """
import ast, importlib.metadata, importlib.util, json, pathlib, sys
needed = ("torch", "transformers", "numpy", "msgspec")
lacking = [name for name in needed if importlib.util.find_spec(name) is None]
if lacking or sys.version_info < (3, 11):
    sys.exit(1)
package = pathlib.Path(importlib.util.find_spec("transformers").origin).parent
text = (package / "models" / "auto" / "modeling_auto.py").read_text(encoding="utf-8")
assigned = {
    getattr(each.targets[0], "id", ""): each.value
    for each in ast.parse(text).body if isinstance(each, ast.Assign)
}
classes = dict(ast.literal_eval(assigned["MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"].args[0]))
print(json.dumps({
    "python": sys.executable,
    "torch": importlib.metadata.version("torch"),
    "transformers": importlib.metadata.version("transformers"),
    "classes": classes,
}))
"""
_OF_MORE_THAN_TEXT = "ForConditionalGeneration"


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python with all that a probe needs."""

    python: str
    torch: str
    transformers: str
    """Versions."""
    classes: Mapping[str, str]
    """Model type -> class of the language model that transformers has for it."""

    def why_not(self, config: Mapping[str, object]) -> str:
        """Return why a model with this configuration has no probe; nothing if it can have one."""
        if config.get("text_config") is not None:
            return (
                "a probe runs language models alone, and it is one with other parts (text_config)"
            )
        kind = config.get("model_type")
        found = self.classes.get(str(kind), _OF_MORE_THAN_TEXT)
        if "auto_map" in config or found.endswith(_OF_MORE_THAN_TEXT):
            return f"transformers {self.transformers} has no language model of its type {kind!r}"
        return ""


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
