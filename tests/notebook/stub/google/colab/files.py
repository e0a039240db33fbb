"""Colab's way to the browser."""

import os
import shutil
from pathlib import Path


def download(path: str) -> None:
    """Put the file where the test looks for what the browser got."""
    folder = Path(os.environ["STUB_FOLDER"])
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, folder)
