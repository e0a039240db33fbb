"""vLLM's stand-in as a program to name with --vllm."""

import json
import sys
from pathlib import Path

from servers.embedded.model import tiny_models
from tests.cli.program import ROOT


def fake_vllm(folder: Path, **behaviour: object) -> Path:
    """A program that everything it starts can be found by."""
    told = folder / "behaviour.json"
    told.write_text(json.dumps(behaviour))
    script = folder / "vllm"
    python = f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m servers.fake_vllm'
    script.write_text(f'#!/bin/sh\n{python} --behaviour "{told}" "$@"\n')
    script.chmod(0o755)
    return script


def models() -> str:
    """Directories of the two tiny models, as --models takes them."""
    return ",".join(str(model.directory) for model in tiny_models())
