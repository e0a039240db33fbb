"""Attacks by machine code: no memory may become executable, nothing may be loaded."""
# ruff: noqa: E501 - the code of an attack is kept as a model would write it

from tests.sandbox.attacks.case import Case

CASES = (
    Case(
        "code: writable and executable memory",
        "import mmap\nattempt(lambda: mmap.mmap(-1, 4096, mmap.MAP_PRIVATE, 7))",
    ),
    Case(
        "code: callback from ctypes",
        "try:\n    print(ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)())\n"
        "except (MemoryError, OSError):\n    print('refused')",
        end="any",
    ),
    Case(
        "code: load a library",
        "try:\n    print('ESCAPED', ctypes.CDLL('libBrokenLocale.so.1'))\nexcept OSError:\n    print('refused')",
    ),
    Case(
        "code: load an extension module",
        "from importlib.machinery import ExtensionFileLoader, ModuleSpec\n"
        "import importlib.util\n"
        "spec = ModuleSpec('x', ExtensionFileLoader('x', '/usr/lib/x.so'), origin='/usr/lib/x.so')\n"
        "attempt(lambda: importlib.util.module_from_spec(spec))",
        is_own=True,
    ),
    Case(
        "code: data made executable",
        "buffer = ctypes.create_string_buffer(8192)\n"
        "page = (ctypes.addressof(buffer) + 4095) & ~4095\n"
        "ctypes.set_errno(0)\n"
        "print('ESCAPED' if libc.mprotect(ctypes.c_void_p(page), 4096, 7) == 0 else 'refused')",
        is_own=True,
    ),
    Case(
        "code: jump into data",
        "buffer = ctypes.create_string_buffer(b'\\xc3' * 4096)\n"
        "ctypes.PYFUNCTYPE(None)(ctypes.addressof(buffer))()\nprint('ESCAPED')",
        end="lost",
        machine="x86_64",
        is_own=True,
    ),
    Case(
        "code: the machine stack made executable",
        "libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]\n"
        "x = ctypes.c_int(0)\npage = ctypes.addressof(x) & ~4095\n"
        "print('ESCAPED' if libc.mprotect(page, 4096, 5) == 0 else 'refused')",
        is_own=True,
    ),
    Case(
        "code: numpy compiles",
        "attempt(lambda: __import__('numpy.f2py'))",
        is_own=True,
    ),
    Case(
        "code: patched bytecode",
        "f = lambda: 1\nf.__code__ = f.__code__.replace(co_code=b'\\xff\\xff' * 40)\nf()",
        end="any",
        spoils=True,
        is_own=True,
        is_about_walls=False,
    ),
)
