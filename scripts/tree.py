"""Print the file tree of the README, one line per file; `--write` puts it there.

The words about a file are its own first line, so that the tree cannot say anything else.
"""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- tree: scripts/tree.py --write -->", "<!-- end of tree -->"
_FOLDERS = (".ci", "engine", "phases", "scripts", "servers", "tests")
"""All that is the project's own; a user's runs and phases lie beside them."""
_BY_FOLDER = ("tests", "servers/embedded/models", "phases/heritage", "scripts/pictures")
"""Folders whose files are not listed one by one."""
_COMMENTED = (".js", ".css", ".jinja", ".txt")
"""Files that begin with a comment of one line."""
_COLUMN = 44


def tracked() -> list[Path]:
    """Return the files of the project, those not yet committed included."""
    found = _of_git() or [path.relative_to(ROOT) for path in _on_disk()]
    return sorted(found, key=lambda path: (path.parent, path.name))


def _of_git() -> list[Path]:
    """Return what git knows and what it does not ignore; nothing where this is no checkout."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return []
    argv = [git, "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "--"]
    done = subprocess.run([*argv, *_FOLDERS], capture_output=True, text=True, check=False)
    names = dict.fromkeys(done.stdout.split("\n"))
    return [Path(name) for name in names if name and (ROOT / name).exists()]


def _on_disk() -> Iterator[Path]:
    """Yield every file in the folders of the project but what Python and editors leave there."""
    for folder in _FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            parts = path.relative_to(ROOT / folder).parts
            is_left = any(part == "__pycache__" or part.startswith(".") for part in parts)
            if path.is_file() and not is_left:
                yield path


def words_on(path: Path) -> str:
    """Return the first line that a file says about itself."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    if path.suffix == ".json":
        return json.loads(text).get("title", "")
    if path.suffix == ".ipynb":
        text = "".join(json.loads(text)["cells"][0]["source"])
        return text.partition("\n")[0].lstrip("# ")
    lines = text.splitlines()
    if lines and lines[0].startswith("#!"):
        return lines[1].lstrip("# ").partition(": ")[2] if len(lines) > 1 else ""
    if path.suffix == ".toml":
        titles = [line.partition("=")[2].strip(' "') for line in lines if line.startswith("title")]
        return titles[0] if titles else lines[0].lstrip("# ")
    return lines[0].strip("/*{#} ") if path.suffix in _COMMENTED and lines else ""


def listed(path: Path) -> bool:
    """Whether a file has a line of its own."""
    is_grouped = any(path.is_relative_to(folder) for folder in _BY_FOLDER)
    is_prompt = path.suffix == ".md" and path.parts[0] == "phases"
    return len(path.parts) > 1 and not is_grouped and not is_prompt and path.suffix != ".pyi"


def lines() -> Iterator[str]:
    """Yield the tree, line by line."""
    folder = Path()
    for path in filter(listed, tracked()):
        if path.parent != folder:
            folder = path.parent
            yield f"{folder}/"
        if path.name != "__init__.py" or words_on(path):
            yield f"{'  ' + path.name:<{_COLUMN}} {words_on(path)}".rstrip()
    for name in _BY_FOLDER:
        if (ROOT / name).exists():
            yield f"{name}/"


def updated(readme: str) -> str:
    """Return `readme` with the tree of today between its marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([before + BEGIN, "```", *lines(), "```", END]) + after


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n".join(lines()))
