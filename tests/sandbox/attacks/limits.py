"""Attacks on time, memory, output and the worker itself: only the block or its worker suffers."""
# ruff: noqa: E501 - the code of an attack is kept as a model would write it

from functools import partial

from tests.sandbox.attacks.case import Case

_case = partial(Case, is_about_walls=False)

CASES = (
    _case("limits: endless loop", "while True: pass", "timeout"),
    _case("limits: sleep", "import time\ntime.sleep(1000)", "timeout"),
    _case("limits: large power", "9 ** 10 ** 8", "timeout"),
    _case(
        "limits: backtracking expression",
        "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
        "timeout",
        is_own=True,
    ),
    _case(
        "limits: waiting for a signal",
        "import signal\nsignal.pause()",
        "any",
        is_hasty=True,
        is_own=True,
    ),
    _case(
        "limits: waiting for input on the channel",
        "import select\nselect.select([3], [], [])",
        "timeout",
        is_own=True,
    ),
    _case(
        "limits: endless recursion in except",
        "def f():\n    try:\n        f()\n    except Exception:\n        f()\nf()",
        "any",
        is_own=True,
        is_hasty=True,
    ),
    _case(
        "limits: loop in C",
        "import itertools, collections\ncollections.deque(itertools.repeat(1), maxlen=0)",
        "lost",
        is_own=True,
        is_hasty=True,
    ),
    _case(
        "limits: interrupt ignored",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        "lost",
        is_hasty=True,
    ),
    _case(
        "limits: interrupt masked",
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {2})\nwhile True: pass",
        "lost",
        is_own=True,
        is_hasty=True,
    ),
    _case(
        "limits: interrupt caught",
        "def spin():\n    while True: pass\nwhile True:\n    try:\n        spin()\n    except BaseException:\n        pass",
        "lost",
        is_hasty=True,
    ),
    _case(
        "limits: interrupt caught and slept over",
        "import time\nwhile True:\n    try:\n        time.sleep(99)\n    except BaseException:\n        pass",
        "lost",
        is_own=True,
        is_hasty=True,
    ),
    _case(
        "limits: interrupt in a destructor",
        "class A:\n    def __del__(self):\n        while True: pass\nA()",
        "any",
        is_own=True,
        is_hasty=True,
    ),
    _case(
        "limits: list without end",
        "a = []\nwhile True: a.append('x' * 1000000)",
        "error",
        error="MemoryError",
    ),
    _case(
        "limits: endless iterator to a list",
        "import itertools\nlist(itertools.repeat('x' * 10))",
        "error",
        error="MemoryError",
        is_own=True,
    ),
    _case(
        "limits: large array", "import numpy as np\nnp.ones(1 << 40)", "error", error="MemoryError"
    ),
    _case("limits: touched memory", "b = bytearray(1 << 31)", "error", error="MemoryError"),
    _case(
        "limits: doubling text",
        "s = 'x'\nwhile True: s += s",
        "error",
        error="MemoryError",
        is_own=True,
    ),
    _case(
        "limits: decompression bomb",
        "import zlib\nd = zlib.compress(bytes(1 << 28), 9)\nx = zlib.decompress(d) * 100",
        "error",
        error="MemoryError",
        is_own=True,
    ),
    Case(
        "limits: shared memory, which stays when it is not resident",
        "import mmap\nattempt(lambda: mmap.mmap(-1, 1 << 20))",
        is_own=True,
    ),
    _case("limits: huge shift", "1 << (1 << 40)", "error", is_own=True),
    _case(
        "limits: digits without end", "str(1 << 100000)", "error", error="ValueError", is_own=True
    ),
    _case("limits: deep recursion", "def f(): f()\nf()", "error", error="RecursionError"),
    _case(
        "limits: mutual recursion",
        "def f(): g()\ndef g(): f()\nf()",
        "error",
        error="RecursionError",
        is_own=True,
    ),
    _case(
        "limits: recursion limit lifted",
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(n): return f(n + 1) + 1\nf(0)",
        "error",
        error="RecursionError",
        is_own=True,
    ),
    _case(
        "limits: recursion in C with the limit lifted",
        "import sys\nsys.setrecursionlimit(10 ** 9)\nx = []\nfor _ in range(200000): x = [x]\nx",
        "error",
        error="RecursionError",
        is_own=True,
    ),
    _case(
        "limits: recursion limit lifted by the very function",
        "import sys\nsys.setrecursionlimit.__wrapped__(10 ** 9)\ndef f(n): return f(n + 1) + 1\nf(0)",
        "any",
        is_hasty=True,
        spoils=True,
        is_own=True,
    ),
    _case(
        "limits: recursion in C",
        "x = []\nfor _ in range(200000): x = [x]\nrepr(x)",
        "error",
        error="RecursionError",
        is_own=True,
    ),
    _case("limits: source nested too deep", "(" * 100000 + ")" * 100000, "error", is_own=True),
    _case("limits: endless sum", "+".join(["1"] * 50000), "any", spoils=True, is_own=True),
    _case("limits: source of ten megabytes", "x = 1\n" * 1_700_000, "error", error="SyntaxError"),
    _case("limits: null in the source", "print(1)\0", "error"),
    _case("limits: surrogate in the source", "print('\ud800')", "ok", is_own=True),
    _case("limits: indentation", "if True:\nprint(1)", "error", error="IndentationError"),
    _case("limits: unclosed bracket", "x = (1,", "error", error="SyntaxError"),
    _case("limits: empty", "", "ok"),
    _case("limits: only a comment", "# nothing", "ok"),
    _case(
        "limits: gigabyte of output",
        "for _ in range(1000): print('x' * 1000000)",
        "ok",
        prints="more characters",
    ),
    _case(
        "limits: million lines", "for i in range(60000): print(i)", "ok", prints="more characters"
    ),
    _case("limits: huge echo", "'x' * 10000000", "ok", prints="more characters"),
    _case(
        "limits: echo of a bomb",
        "class A:\n    def __repr__(self): return 'x' * (1 << 26)\nA()",
        "ok",
        prints="more characters",
        is_own=True,
    ),
    _case(
        "limits: echo that raises",
        "class A:\n    def __repr__(self): 1 / 0\nA()",
        "error",
        error="ZeroDivisionError",
        is_own=True,
    ),
    _case(
        "limits: echo that is no text",
        "class A:\n    def __repr__(self): return 5\nA()",
        "error",
        error="TypeError",
        is_own=True,
    ),
    _case(
        "limits: bytes that are not UTF-8",
        "import sys\nsys.stdout.buffer.write(b'\\xff\\xfe!')",
        "ok",
        prints="!",
    ),
    _case("limits: surrogates", "print('\\ud800!')", "ok", prints="!"),
    _case("limits: colours", "print('\\x1b[31mred\\x1b[0m')", "ok", prints="red"),
    _case("limits: terminal title", "print('\\x1b]0;owned\\x07!')", "ok", prints="!"),
    _case("limits: nulls", "print('a\\0b')", "ok", prints="a\\x00b"),
    _case(
        "limits: error with a hostile message",
        "class E(Exception):\n    def __str__(self): raise E\nraise E",
        "error",
        error="E",
        is_own=True,
    ),
    _case(
        "limits: error with a huge message",
        "raise ValueError('x' * 50000000)",
        "error",
        error="ValueError",
        is_own=True,
    ),
    _case(
        "limits: error with a hostile name",
        "raise type('\\x1b[31m' + 'E' * 10000, (Exception,), {})",
        "error",
        is_own=True,
    ),
    _case(
        "limits: error that is a chain",
        "e = None\nfor i in range(3000):\n    n = ValueError(i)\n    n.__cause__ = e\n    e = n\nraise e",
        "error",
        error="ValueError",
        is_own=True,
    ),
    _case(
        "limits: error that is a ring",
        "a, b = ValueError(1), ValueError(2)\na.__cause__, b.__cause__ = b, a\nraise a",
        "error",
        error="ValueError",
        is_own=True,
        is_hasty=True,
    ),
    _case(
        "limits: group of errors",
        "raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [KeyError(2)])])",
        "error",
        error="ExceptionGroup",
        is_own=True,
    ),
    _case(
        "limits: generator exit", "raise GeneratorExit", "error", error="GeneratorExit", is_own=True
    ),
    _case(
        "limits: keyboard interrupt",
        "raise KeyboardInterrupt",
        "error",
        error="KeyboardInterrupt",
        is_own=True,
    ),
    _case("limits: exit", "print('bye')\nexit()", "ok", prints="bye"),
    _case(
        "limits: sys.exit with a message",
        "import sys\nsys.exit('done')",
        "error",
        error="SystemExit",
    ),
    _case("limits: process exit", "print('said')\nimport os\nos._exit(0)", "lost", prints="said"),
    _case(
        "limits: segmentation fault",
        "print('said')\nimport ctypes\nctypes.string_at(0)",
        "lost",
        prints="SIGSEGV",
    ),
    _case("limits: abort", "import os\nos.abort()", "lost"),
    _case(
        "limits: stack exhausted in C",
        "import ctypes\nf = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)\n"
        "def g(): return ctypes.pythonapi.PyObject_Str(ctypes.py_object(X()))\n"
        "class X:\n    def __str__(self): return str(X())\nimport sys\nsys.setrecursionlimit(10 ** 8)\nstr(X())",
        "any",
        spoils=True,
        is_own=True,
    ),
    _case(
        "limits: builtins cleared", "import builtins\nbuiltins.__dict__.clear()", "any", spoils=True
    ),
    _case(
        "limits: modules cleared",
        "import sys\nsys.modules.clear()",
        "any",
        spoils=True,
        is_own=True,
    ),
    _case("limits: streams replaced", "import sys\nsys.stdout = sys.stderr = None", "ok"),
    _case(
        "limits: streams closed", "import sys\nsys.stdout.close()", "any", spoils=True, is_own=True
    ),
    _case(
        "limits: loop replaced",
        "import gc, types\nfor o in gc.get_objects():\n"
        "    if type(o) is types.FunctionType and o.__name__ in ('serve', 'run_block', 'outcome'):\n"
        "        o.__code__ = (lambda *a, **k: None).__code__",
        "any",
        spoils=True,
    ),
    _case(
        "limits: trace function that raises",
        "import sys\ndef t(*a): raise ValueError\nsys.settrace(t)",
        "any",
        spoils=True,
        is_own=True,
    ),
    _case(
        "limits: audit hook that raises",
        "import sys\ndef h(e, a):\n    if e == 'compile': raise ValueError\nsys.addaudithook(h)",
        "ok",
        spoils=True,
        is_own=True,
    ),
    _case(
        "limits: collector switched off",
        "import gc\ngc.disable()\ngc.set_threshold(0)",
        "ok",
        is_own=True,
    ),
    _case(
        "limits: at exit",
        "import atexit, time\natexit.register(time.sleep, 1000)",
        "ok",
        is_own=True,
    ),
    _case(
        "limits: other signal handlers",
        "import signal\nfor n in range(1, 32):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError):\n        pass",
        "ok",
        spoils=True,
        is_own=True,
    ),
    _case("limits: thaw and collect", "import gc\ngc.unfreeze()\ngc.collect()", "ok", is_own=True),
)
