"""What every worker finds imported, and how the traces of this machine are wiped from it."""

import builtins
import gc
import importlib
import os
import sys
import types
from collections.abc import Callable

from engine.sandbox import kernel
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


def preload() -> None:
    """Import all of it; a module that this Python was built without is passed over."""
    for name in f"{_STDLIB} {_EXTENSIONS} {_NUMPY}".split():
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    sys.meta_path.append(SourceFinder(stdlib_sources(), file_name=_stdlib_file))
    os.environ.clear()  # noqa: TID251 - wiped, not read
    kernel.clear_environment()


def _stdlib_file(name: str) -> str:
    return f"{_PUBLIC_ROOT}/{name.replace('.', '/')}.py"


def scrub() -> None:
    """Remove the paths of this machine from everything that model code can look at."""
    public = _renamer()
    for module in list(sys.modules.values()):
        _scrub_module(module, public)
    for found in gc.get_objects():
        if type(found) is types.FunctionType:
            found.__code__ = _renamed(found.__code__, public)
    sys.path[:] = []
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [finder for finder in sys.meta_path if "PathFinder" not in repr(finder)]
    sys.path_hooks.clear()
    sys.argv[:] = sys.orig_argv[:] = [""]
    sys.executable = ""
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        setattr(sys, name, _PUBLIC_ROOT)
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
    _add_site_builtins()


def _renamer() -> Callable[[str], str]:
    roots = sorted({path for path in [*sys.path, sys.prefix, sys.base_prefix] if path}, key=len)

    def public(path: str) -> str:
        for root in reversed(roots):
            if path.startswith(root):
                return _PUBLIC_ROOT + path[len(root) :]
        return path

    return public


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
    constants = tuple(
        _renamed(value, public) if isinstance(value, types.CodeType) else value
        for value in code.co_consts
    )
    return code.replace(co_filename=public(code.co_filename), co_consts=constants)


def _add_site_builtins() -> None:
    """What `site` would have added; it was not imported, for it reads the machine's paths."""
    builtins.__dict__.update(help=_Help(), exit=_leave, quit=_leave)


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
