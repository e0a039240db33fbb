"""Imports in a process that cannot open files: modules served from source text held in memory.

Two kinds: the modules that the host gives (they alone see the builtin `_ask`), and those parts of
the standard library that were not imported before the worker was sealed.
"""

import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import marshal
import os
import sys
import sysconfig
import types
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from engine.sandbox.protocol import Module

_LEFT_OUT = frozenset(
    {"antigravity", "ensurepip", "idlelib", "lib2to3", "test", "this", "tkinter", "turtle"}
    | {"turtledemo", "venv", "site-packages", "dist-packages", "__pycache__", "lib-dynload"}
)
"""Parts of the standard library that only make sense with files, a screen or the network."""


class SourceFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads modules whose source text is at hand."""

    def __init__(
        self,
        sources: Mapping[str, str],
        *,
        file_name: Callable[[str], str],
        extra_builtins: Mapping[str, object] | None = None,
    ) -> None:
        """Serve `sources` (dotted name -> text); missing parents become empty packages.

        `file_name` names the code in tracebacks; `extra_builtins` are seen by these modules only.
        """
        self._sources: dict[str, str] = {}
        self._codes: dict[str, bytes] = {}
        self._packages: set[str] = set()
        self._file_name = file_name
        self._builtins = extra_builtins and {**vars(builtins), **extra_builtins}
        self.add(sources)

    def __repr__(self) -> str:
        """Tell nothing of this program, and the same in every process."""
        return "<importer>"

    def add(
        self, sources: Mapping[str, str], codes: Mapping[str, bytes] = MappingProxyType({})
    ) -> None:
        """Serve these too, in place of what has the same name; `codes`: see `Module.code`."""
        parents = {parent for name in sources for parent in _parents(name)}
        self._packages |= parents
        self._sources = dict.fromkeys(parents, "") | self._sources | dict(sources)
        self._codes |= codes

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the finder protocol
        target: types.ModuleType | None = None,  # noqa: ARG002 - the finder protocol
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module that is at hand."""
        if fullname not in self._sources:
            return None
        # Without an origin, the module would be shown with the loader and its address in memory.
        return importlib.util.spec_from_loader(fullname, self, origin="built-in")

    def is_package(self, fullname: str) -> bool:
        """Tell whether other modules are below it."""
        return fullname in self._packages

    def get_source(self, fullname: str) -> str:
        """Return the text; `inspect` and tracebacks ask for it."""
        return self._sources[fullname]

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the code of the text, compiled under its public name if it is not yet."""
        if code := self._codes.get(fullname):
            return marshal.loads(code)  # noqa: S302 - the host's own
        return compile(
            self._sources[fullname], self._file_name(fullname), "exec", dont_inherit=True
        )

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the module's code."""
        if self._builtins:
            module.__dict__["__builtins__"] = self._builtins
        name = module.__name__
        lines = self._sources[name].splitlines(keepends=True)
        linecache.cache[self._file_name(name)] = (len(lines), None, lines, self._file_name(name))
        exec(self.get_code(name), module.__dict__)  # noqa: S102 - the purpose of a loader


class NothingElse(importlib.abc.MetaPathFinder):
    """Last in line: says what can be imported instead of what cannot."""

    def __init__(self, given: Sequence[str]) -> None:
        """Name the modules `given` by the host in the message."""
        self._given = ", ".join(["the standard library", "numpy", *given])

    def __repr__(self) -> str:
        """Tell nothing of this program, and the same in every process."""
        return "<importer>"

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the finder protocol
        target: types.ModuleType | None = None,  # noqa: ARG002 - the finder protocol
    ) -> None:
        """Refuse a top-level module; a missing submodule gets Python's own message."""
        if "." not in fullname:
            what = f"No module named {fullname!r}. What can be imported: {self._given}."
            raise ModuleNotFoundError(what, name=fullname)


def file_name_of(given: str) -> str:
    """Return what tracebacks call the file of a module that the host gives."""
    return f"<{given}>"


def ready_made(sources: Mapping[str, str]) -> dict[str, Module]:
    """Return modules as workers take them, which run the same Python as this process."""
    return {name: Module(source, _compiled(name, source)) for name, source in sources.items()}


@lru_cache(maxsize=256)
def _compiled(name: str, source: str) -> bytes:
    """Compile once what every worker would spend more on than on all else of its start."""
    try:
        code = compile(source, file_name_of(name), "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError):
        return b""
    return marshal.dumps(code)


def stdlib_sources() -> dict[str, str]:
    """Read the source of every pure-Python module of the standard library not yet imported."""
    root = Path(sysconfig.get_path("stdlib"))
    sources: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for path in (Path(folder, file) for file in files if file.endswith(".py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            if name not in sys.modules and _LEFT_OUT.isdisjoint(parts):
                sources[name] = path.read_text("utf-8", "replace")
    return sources


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]
