"""Attacks on files: every name must be out of reach, and nothing may be made."""
# ruff: noqa: E501 - the code of an attack is kept as a model would write it

from tests.sandbox.attacks.case import Case


def _attempt(name: str, expression: str, *, before: str = "", is_own: bool = False) -> Case:
    return Case(f"files: {name}", f"{before}\nattempt(lambda: {expression})", is_own=is_own)


CASES = (
    _attempt("open a secret", "open('@SECRET@').read()"),
    _attempt("os.open a secret", "os.open('@SECRET@', os.O_RDONLY)"),
    _attempt("pathlib", "Path('@SECRET@').read_text()", before="from pathlib import Path"),
    _attempt("stat", "os.stat('@SECRET@')"),
    _attempt("lstat", "os.lstat('/etc/passwd')", is_own=True),
    _attempt("list the root", "os.listdir('/')"),
    _attempt("scandir", "list(os.scandir('/'))", is_own=True),
    _attempt("readlink", "os.readlink('/proc/self/exe')", is_own=True),
    _attempt("write", "open('/tmp/sandbox-escape', 'w').write('x')"),
    _attempt("append to a secret", "open('@SECRET@', 'a').write('x')", is_own=True),
    _attempt("unlink", "os.unlink('@SECRET@')"),
    _attempt("rename", "os.rename('@SECRET@', '@SECRET@.moved')", is_own=True),
    _attempt("make a directory", "os.mkdir('/tmp/sandbox-escape')", is_own=True),
    _attempt("link", "os.link('@SECRET@', '/tmp/sandbox-escape')", is_own=True),
    _attempt("symlink", "os.symlink('@SECRET@', '/tmp/sandbox-escape')", is_own=True),
    _attempt("chmod", "os.chmod('@SECRET@', 0o777)", is_own=True),
    _attempt("truncate", "os.truncate('@SECRET@', 0)", is_own=True),
    _attempt("chdir", "os.chdir('/etc')", is_own=True),
    _attempt("statvfs", "os.statvfs('/')", is_own=True),
    _attempt("named pipe", "os.mkfifo('/tmp/sandbox-escape')", is_own=True),
    _attempt("extended attributes", "os.listxattr('@SECRET@')", is_own=True),
    _attempt("memory file", "os.memfd_create('x')"),
    _attempt("pipe", "os.pipe()", is_own=True),
    _attempt("pseudo-terminal", "os.openpty()", is_own=True),
    _attempt(
        "shared memory",
        "SharedMemory('sandbox-escape', create=True, size=16)",
        before="from multiprocessing.shared_memory import SharedMemory",
    ),
    _attempt("own environment in /proc", "open('/proc/self/environ', 'rb').read()"),
    _attempt("environment of the host", "open('/proc/@HOST@/environ', 'rb').read()"),
    _attempt("own memory by file", "open('/proc/self/mem', 'rb+')", is_own=True),
    _attempt("memory map", "open('/proc/self/maps').read()"),
    _attempt("numpy.fromfile", "np.fromfile('@SECRET@')", before="import numpy as np", is_own=True),
    _attempt("numpy.memmap", "np.memmap('@SECRET@')", before="import numpy as np", is_own=True),
    _attempt("numpy.load", "np.load('@SECRET@')", before="import numpy as np", is_own=True),
    _attempt(
        "log to a file",
        "logging.FileHandler('/tmp/sandbox-escape')",
        before="import logging",
        is_own=True,
    ),
    _attempt(
        "source loader",
        "SourceFileLoader('x', '@SECRET@').get_data('@SECRET@')",
        before="from importlib.machinery import SourceFileLoader",
        is_own=True,
    ),
    _attempt("zip archive", "zipfile.ZipFile('@SECRET@')", before="import zipfile", is_own=True),
    Case(
        "files: database",
        "import sqlite3\n"
        "try:\n    sqlite3.connect('/tmp/sandbox-escape').execute('create table t(x)')\n"
        "    print('ESCAPED')\nexcept sqlite3.OperationalError:\n    print('refused')",
        is_own=True,
    ),
    Case(
        "files: libc fopen",
        "libc.fopen.restype = ctypes.c_void_p\n"
        "print('ESCAPED' if libc.fopen(b'@SECRET@', b'r') else 'refused')",
        is_own=True,
    ),
    Case(
        "files: temporary file",
        "import tempfile\ntry:\n    print('ESCAPED', tempfile.mkstemp())\n"
        "except OSError:\n    print('refused')",
    ),
    Case(
        "files: existence",
        "print('ESCAPED' if os.path.exists('@SECRET@') or os.access('/', os.F_OK) else 'refused')",
    ),
    Case(
        "files: glob",
        "import glob\nprint('ESCAPED' if glob.glob('/*') else 'refused')",
        is_own=True,
    ),
    Case(
        "files: import from a directory",
        "import sys\nsys.path.insert(0, '/usr/lib/python3')\nattempt(lambda: __import__('apt_pkg'))",
        is_own=True,
    ),
    Case(
        "files: path finder put back",
        "import sys, zipimport\nfrom importlib.machinery import FileFinder, PathFinder, SourceFileLoader\n"
        "sys.meta_path.insert(0, PathFinder)\n"
        "sys.path_hooks.append(FileFinder.path_hook((SourceFileLoader, ['.py'])))\n"
        "sys.path.append('/usr/lib/python3/dist-packages')\nattempt(lambda: __import__('six'))",
        is_own=True,
    ),
    Case(
        "files: descriptors",
        "import fcntl\ndef is_open(fd):\n    try:\n        fcntl.fcntl(fd, fcntl.F_GETFD)\n"
        "        return True\n    except OSError:\n        return False\n"
        "print([fd for fd in range(1024) if is_open(fd)])",
        end="ok",
        prints="[0, 1, 2, 3]",
    ),
    Case(
        "files: standard descriptors lead nowhere",
        "os.write(1, b'to the terminal')\nos.write(2, b'to the terminal')\n"
        "print(os.read(0, 10) or 'refused')",
    ),
)
