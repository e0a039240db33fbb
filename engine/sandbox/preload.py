"""What every worker finds imported, and how the traces of this machine are wiped from it."""

import builtins
import functools
import gc
import importlib
import os
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar, cast

from engine.sandbox import kernel, loops
from engine.sandbox.imports import SourceFinder, stdlib_sources

_STDLIB = """
abc argparse array ast asyncio base64 bdb binascii bisect builtins bz2 calendar cmath cmd code
codecs collections.abc colorsys concurrent.futures configparser contextlib copy copyreg csv ctypes
dataclasses datetime decimal difflib dis doctest email.message enum errno fnmatch fractions
functools gc getopt glob graphlib gzip hashlib heapq hmac html.parser importlib.abc
importlib.resources inspect io itertools json keyword linecache locale logging lzma math numbers
opcode operator os pathlib pdb pickle pkgutil platform pprint profile pstats pydoc queue random re
reprlib resource sched secrets select selectors shelve shlex shutil signal socket sqlite3 ssl stat
statistics string struct subprocess symtable sysconfig tempfile textwrap threading time timeit
token tokenize trace traceback tracemalloc types typing unicodedata unittest urllib.parse
urllib.request uuid warnings weakref xml.etree.ElementTree zipfile zlib zoneinfo
"""
_EXTENSIONS = """
_asyncio _bisect _blake2 _bz2 _contextvars _csv _ctypes _datetime _decimal _elementtree _hashlib
_heapq _json _lsprof _lzma _md5 _multibytecodec _multiprocessing _opcode _pickle _posixshmem
_posixsubprocess _queue _random _sha1 _sha256 _sha2 _sha3 _sha512 _socket _sqlite3 _ssl _statistics
_struct _typing _uuid _zoneinfo audioop fcntl grp mmap nis ossaudiodev pyexpat syslog
termios xxlimited
"""
"""C parts of the standard library: they come from files, so they must be there before the seal."""
_NUMPY = """
numpy numpy.linalg numpy.random numpy.fft numpy.polynomial numpy.ma numpy.ctypeslib numpy.testing
numpy.typing numpy.lib.stride_tricks numpy.lib.format
"""
_OURS = ("engine", "msgspec", "pyseccomp", "py_landlock")
_PUBLIC_ROOT = "/python"
_NO_SECRETS = frozenset({"", "/", "/usr", "/usr/local"})
"""Folders that every machine has: they are left in texts."""
_MOST_LEVELS = 10_000
"""Calls inside one another: what the stack of a worker holds, see `engine.sandbox.seal`."""
_Cached = type(functools.cache(int))

T = TypeVar("T")


def preload() -> None:
    """Import all of it; a module that this Python was built without is passed over."""
    for name in f"{_STDLIB} {_EXTENSIONS} {_NUMPY}".split():
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    sys.meta_path.append(SourceFinder(stdlib_sources(), file_name=_stdlib_file))
    loops.make_bare()
    os.environ.clear()  # noqa: TID251 - wiped, not read
    kernel.clear_environment()


def _stdlib_file(name: str) -> str:
    return f"{_PUBLIC_ROOT}/{name.replace('.', '/')}.py"


def scrub() -> None:
    """Remove the paths of this machine from everything that model code can look at."""
    public = _renamer()
    for module in list(sys.modules.values()):
        _scrub_module(module, public)
    for found in _everything():
        _scrub_object(found, public)
    re.purge()
    sys.path[:] = []
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [finder for finder in sys.meta_path if "PathFinder" not in repr(finder)]
    sys.path_hooks.clear()
    sys.argv[:] = sys.orig_argv[:] = [""]
    sys.executable = ""
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        setattr(sys, name, _PUBLIC_ROOT)
    kernel.rename_program()
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    _add_site_builtins()
    _bound_recursion()


def _renamer() -> Callable[[str], str]:
    """Return what puts a public folder in the place of this machine's, anywhere in a text."""
    homes = {str(Path(sys.executable).parents[1]), *_home()}
    folders = {*sys.path, sys.prefix, sys.base_prefix, *homes} - _NO_SECRETS
    longest_first = tuple(sorted(folders, key=len, reverse=True))
    found = re.compile("|".join(map(re.escape, longest_first)))

    def public(text: str) -> str:
        # Nearly every text is told apart by the first look.
        is_told = "/" in text and any(folder in text for folder in longest_first)
        return found.sub(_PUBLIC_ROOT, text) if is_told else text

    return public


def _home() -> list[str]:
    """Return the folder of this user, if there is one: the name of a person is in it."""
    try:
        return [str(Path.home())]
    except RuntimeError:
        return []


def _everything() -> Iterator[object]:
    """Yield what the collector knows, and the dictionaries of nothing but texts, which it does not.

    Those are known to who refers to them.
    """
    for found in gc.get_objects():
        yield found
        for inner in gc.get_referents(found):
            if type(inner) is dict and not gc.is_tracked(inner):
                yield inner


def _scrub_object(found: object, public: Callable[[str], str]) -> None:
    if isinstance(found, types.FunctionType):
        found.__code__ = _renamed(found.__code__, public)
        found.__defaults__ = found.__defaults__ and _renamed_all(found.__defaults__, public)
    elif isinstance(found, _Cached):
        found.cache_clear()
    elif type(found) is dict:
        entries = cast("dict[object, object]", found)
        entries.update(_renames(entries.items(), public))
    elif type(found) is list:
        items = cast("list[object]", found)
        for place, told in _renames(enumerate(items), public).items():
            items[place] = told


def _renames(items: Iterable[tuple[T, object]], public: Callable[[str], str]) -> dict[T, str]:
    """Return the places of texts that tell of this machine, with what shall stand there."""
    return {
        place: told
        for place, value in list(items)
        if type(value) is str and (told := public(value)) is not value
    }


def _scrub_module(module: types.ModuleType, public: Callable[[str], str]) -> None:
    space = vars(module)
    for name in ("__file__", "__cached__"):
        if isinstance(space.get(name), str):
            space[name] = public(space[name])
    if isinstance(space.get("__path__"), list):
        space["__path__"] = []
    spec = space.get("__spec__")
    if spec is not None:
        if isinstance(spec.origin, str):
            spec.origin = public(spec.origin)
        spec.submodule_search_locations = None if spec.submodule_search_locations is None else []
        loader_path = getattr(spec.loader, "path", None)
        if isinstance(loader_path, str):
            spec.loader.path = public(loader_path)
        spec.cached = None


def _renamed(code: types.CodeType, public: Callable[[str], str]) -> types.CodeType:
    return code.replace(
        co_filename=public(code.co_filename), co_consts=_renamed_all(code.co_consts, public)
    )


def _renamed_all(values: tuple[object, ...], public: Callable[[str], str]) -> tuple[object, ...]:
    """Return constants, or defaults, as model code may see them."""

    def renamed(value: object) -> object:
        if isinstance(value, types.CodeType):
            return _renamed(value, public)
        return public(value) if type(value) is str else value

    return tuple(map(renamed, values))


def _add_site_builtins() -> None:
    """What `site` would have added; it was not imported, for it reads the machine's paths."""
    builtins.__dict__.update(help=_Help(), exit=_leave, quit=_leave)


def _bound_recursion() -> None:
    """Let no recursion go so deep that the stack overflows, which would cost all variables."""
    lift = sys.setrecursionlimit

    @functools.wraps(lift)
    def bounded(limit: int, /) -> None:
        lift(min(limit, _MOST_LEVELS))

    bounded.__doc__ = (
        f"Set the maximum depth of the Python interpreter stack, here to at most {_MOST_LEVELS:,}."
    )
    sys.setrecursionlimit = bounded


class _Help:
    """Type help(object) to read about an object."""

    def __call__(self, *request: object) -> None:
        """Print the documentation of one object; of `help` itself without one."""
        import pydoc

        pydoc.help(*(request or (self,)))

    def __repr__(self) -> str:
        return "Type help(object) to read about an object."


def _leave(code: object = None) -> None:
    """End the block."""
    raise SystemExit(code)
