"""The refusals of the seal for machines without it, so that model code behaves the same there.

An audit hook, and therefore no wall: whoever wants to can get around it. It keeps prompts and
results comparable between machines; secrecy it does not give.
"""

import _thread
import errno
import os
import sys
import threading

_NAMING_A_PATH = frozenset(
    {
        "open",
        "os.listdir",
        "os.scandir",
        "os.chdir",
        "os.mkdir",
        "os.rmdir",
        "os.remove",
        "os.rename",
    }
    | {"os.link", "os.symlink", "os.chmod", "os.chown", "os.truncate", "os.utime", "os.exec"}
    | {"os.setxattr", "os.getxattr", "os.listxattr", "shutil.rmtree", "os.posix_spawn"}
)
_OTHERS = frozenset(
    {"os.fork", "os.forkpty", "os.system", "os.kill", "os.killpg", "subprocess.Popen", "pty.spawn"}
    | {"socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo"}
    | {"socket.gethostbyname", "socket.gethostbyaddr", "socket.sethostname", "signal.pthread_kill"}
    | {"resource.setrlimit", "resource.prlimit", "fcntl.fcntl", "fcntl.flock"}
    | {"fcntl.lockf", "syslog.openlog", "syslog.syslog"}
)
_STARTING = frozenset({"start_new_thread", "start_joinable_thread"})


def install() -> None:
    """Refuse from now on, in this process, what a sealed worker would be refused."""
    sys.addaudithook(_refuse)
    # Not every Python tells audit hooks of threads; both modules hold the function.
    for module in (_thread, threading):
        for name in [name for name in vars(module) if name.lstrip("_") in _STARTING]:
            setattr(module, name, _refuse_thread)


def _refuse_thread(*_arguments: object, **_options: object) -> None:
    raise RuntimeError("can't start new thread")


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _NAMING_A_PATH:
        name = arguments[0] if arguments and isinstance(arguments[0], str | bytes) else None
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    if event == "ctypes.dlopen" and arguments[0] is not None:
        raise OSError(f"{arguments[0]}: cannot open shared object file: Permission denied")
    # Shared memory of no file, as `mmap` makes it unless told otherwise.
    is_anonymous = event == "mmap.__new__" and arguments[0] == -1
    if is_anonymous or event in _OTHERS:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
