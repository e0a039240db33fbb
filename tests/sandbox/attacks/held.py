"""Attacks on what the process itself might hold: environment, paths of the machine, keys."""
# ruff: noqa: E501 - the code of an attack is kept as a model would write it

from tests.sandbox.attacks.case import Case

KEY = "sk-the-key-of-the-host"
"""In the environment of the host while the attacks run."""

CASES = (
    Case(
        "secrets: environment",
        "print('ESCAPED' if os.environ or os.environb else 'refused')",
    ),
    Case(
        "secrets: environment of libc",
        "libc.getenv.restype = ctypes.c_char_p\n"
        "names = [b'OPENAI_API_KEY', b'PATH', b'HOME', b'USER', b'PYTHONHASHSEED']\n"
        "print('ESCAPED' if any(map(libc.getenv, names)) else 'refused')",
    ),
    Case(
        "secrets: environment block",
        "block = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')\n"
        "print('ESCAPED' if block and block[0] else 'refused')",
    ),
    Case(
        "secrets: search of all objects",
        "import gc\nkey = 'the-' + 'key-of-' + 'the-host'\n"
        "found = [o for o in gc.get_objects() if isinstance(o, (dict, list, tuple))\n"
        "         and any(isinstance(v, str) and key in v and v != key for v in\n"
        "                 (list(o.values()) if isinstance(o, dict) else o))]\n"
        "print('ESCAPED' if found else 'refused')",
    ),
    Case(
        "secrets: arguments",
        "import sys\nprint('ESCAPED' if any(sys.argv + sys.orig_argv) else 'refused')",
    ),
    Case(
        "secrets: paths of modules",
        "import sys\ntold = [getattr(m, a, None) for m in list(sys.modules.values())\n"
        "        for a in ('__file__', '__cached__', '__path__')]\n"
        "told += [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.executable, *sys.path]\n"
        "bad = [t for t in map(str, told) if any(w in t for w in ('/root', '/home', '/usr', '/work', 'venv'))]\n"
        "print('ESCAPED ' + bad[0] if bad else 'refused')",
    ),
    Case(
        "secrets: paths in code objects",
        "import gc, json, types, numpy\n"
        "codes = {f.__code__.co_filename for m in list(__import__('sys').modules.values())\n"
        "         for f in vars(m).values() if isinstance(f, types.FunctionType)}\n"
        "bad = [c for c in codes if any(w in c for w in ('/root', '/home', '/usr', '/work', 'venv'))]\n"
        "print('ESCAPED ' + bad[0] if bad else 'refused')",
        is_own=True,
    ),
    Case(
        "secrets: paths in tracebacks",
        "import json, traceback\ntry:\n    json.loads('{')\nexcept ValueError:\n"
        "    text = traceback.format_exc()\n"
        "print('ESCAPED ' + text if '/root' in text or 'site-packages/' in text else 'refused')",
    ),
    Case(
        "secrets: frames of the engine",
        "import sys\nframe, names = sys._getframe(), []\nwhile frame:\n"
        "    names += [frame.f_code.co_filename, *map(repr, frame.f_locals.values())]\n"
        "    frame = frame.f_back\n"
        "import re\nbad = [n for n in names if re.search('/[w]ork/|/[r]oot|[k]ey-of-the', n)]\n"
        "print('ESCAPED ' + bad[0] if bad else 'refused')",
        is_own=True,
    ),
    Case(
        "secrets: other conditions' modules",
        "attempt(lambda: __import__('introspection.heritage'))",
        is_own=True,
    ),
    Case(
        "secrets: the engine itself",
        "attempt(lambda: __import__('engine.phase'))",
        is_own=True,
    ),
    Case(
        "secrets: user names",
        "import getpass, pwd\n"
        "try:\n    print('ESCAPED', pwd.getpwuid(0))\nexcept (KeyError, OSError):\n    print('refused')",
        is_own=True,
    ),
    Case(
        "secrets: uninitialised memory",
        "import numpy as np\nseen = b''.join(np.empty(1 << 16, np.uint8).tobytes() for _ in range(64))\n"
        "import re\nprint('ESCAPED' if re.search(rb'[s]k-the', seen) else 'refused')",
        is_own=True,
    ),
)
