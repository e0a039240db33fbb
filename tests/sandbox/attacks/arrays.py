"""Attacks on arrays that workers share: nobody but the host ever writes them."""
# ruff: noqa: E501 - the code of an attack is kept as a model would write it

from tests.sandbox.attacks.case import Case
from tests.sandbox.attacks.channel import FORGE

_GET = (
    "import probe\nW = probe.ask('array')\nstart = ctypes.c_void_p(W.ctypes.data // 4096 * 4096)\n"
)
_STEAL = f"""{FORGE}
import array, mmap, socket

def stolen():
    send(ask('array'))
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=3)
    _, rights, _, _ = channel.recvmsg(1 << 16, 64)
    channel.detach()
    return array.array('i', rights[0][2])[0]
"""

CASES = (
    Case(
        "arrays: assignment",
        f"{_GET}try:\n    W[0] = 1\n    print('ESCAPED')\nexcept ValueError:\n    print('refused')",
    ),
    Case(
        "arrays: memmove",
        f"{_GET}ctypes.memmove(W.ctypes.data, b'x' * 8, 8)\nprint('ESCAPED')",
        end="lost",
    ),
    Case(
        "arrays: memory made writable",
        f"{_GET}print('refused' if libc.mprotect(start, 4096, 3) else 'ESCAPED')",
        is_own=True,
    ),
    Case(
        "arrays: hole punched into the memory",
        f"{_GET}print('refused' if libc.madvise(start, 4096, 9) else 'ESCAPED')",
        is_own=True,
    ),
    Case(
        "arrays: stolen descriptor, written",
        f"{_STEAL}import probe\nfd = stolen()\ntry:\n    print('ESCAPED', os.write(fd, b'x' * 8))\n"
        "except OSError:\n    print('refused' if probe.ask('array')[0] == 0 else 'ESCAPED')\nos.close(fd)",
        is_own=True,
    ),
    Case(
        "arrays: stolen descriptor, mapped for writing",
        f"{_STEAL}fd = stolen()\nattempt(lambda: mmap.mmap(fd, 8))\nos.close(fd)",
        is_own=True,
    ),
    Case(
        "arrays: stolen descriptor, unsealed",
        f"{_STEAL}import fcntl\nfd = stolen()\nattempt(lambda: fcntl.fcntl(fd, 1033, 0))\nattempt(lambda: os.ftruncate(fd, 0))\nos.close(fd)",
        is_own=True,
    ),
)
