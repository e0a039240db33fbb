"""Attacks on processes: none may be started, and none but the worker's own may be touched."""
# ruff: noqa: E501 - the code of an attack is kept as a model would write it

from tests.sandbox.attacks.case import Case


def _attempt(name: str, expression: str, *, before: str = "", is_own: bool = False) -> Case:
    return Case(f"processes: {name}", f"{before}\nattempt(lambda: {expression})", is_own=is_own)


CASES = (
    _attempt("fork", "os.fork() or os._exit(0)"),
    _attempt("forkpty", "os.forkpty()", is_own=True),
    _attempt("system", "os.system('true') == 0 or (_ for _ in ()).throw(PermissionError())"),
    _attempt("popen", "os.popen('true').read()", is_own=True),
    _attempt("subprocess", "subprocess.run(['/bin/true'])", before="import subprocess"),
    _attempt("execve", "os.execve('/bin/true', ['true'], {})"),
    _attempt("posix_spawn", "os.posix_spawn('/bin/true', ['true'], {})", is_own=True),
    _attempt(
        "multiprocessing",
        "multiprocessing.get_context('fork').Process(target=print).start()",
        before="import multiprocessing",
        is_own=True,
    ),
    _attempt(
        "thread",
        "threading.Thread(target=print).start()",
        before="import threading",
    ),
    _attempt(
        "thread pool",
        "ThreadPoolExecutor(4).submit(print).result()",
        before="from concurrent.futures import ThreadPoolExecutor",
        is_own=True,
    ),
    Case(
        "processes: two thousand threads",
        "import threading\nn = 0\nfor _ in range(2000):\n    try:\n"
        "        threading.Thread(target=print).start()\n        n += 1\n"
        "    except RuntimeError:\n        pass\nprint('ESCAPED' if n else 'refused')",
    ),
    Case(
        "processes: fork bomb",
        "n = 0\nfor _ in range(200):\n    try:\n        if os.fork() == 0:\n            os._exit(0)\n"
        "        n += 1\n    except OSError:\n        pass\nprint('ESCAPED' if n else 'refused')",
    ),
    _attempt("kill the host", "os.kill(@HOST@, 9)"),
    _attempt("kill a sibling", "os.kill(@SIBLING@, 9)"),
    _attempt("kill the parent", "os.kill(os.getppid() or 1, 9)"),
    _attempt("kill everything", "os.kill(-1, 9)"),
    _attempt("kill the process group", "os.killpg(0, 9)", is_own=True),
    _attempt("kill itself by kill", "os.kill(os.getpid(), 15)", is_own=True),
    _attempt("process descriptor", "os.pidfd_open(@HOST@)"),
    _attempt("priority of the host", "os.setpriority(os.PRIO_PROCESS, @HOST@, 19)", is_own=True),
    _attempt("own priority", "os.nice(-19)", is_own=True),
    _attempt("cores", "os.sched_setaffinity(0, {0})", is_own=True),
    _attempt(
        "real-time scheduling",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
        is_own=True,
    ),
    _attempt(
        "limits of the host",
        "resource.prlimit(@HOST@, resource.RLIMIT_NOFILE, (1, 1))",
        before="import resource",
        is_own=True,
    ),
    Case(
        "processes: own limits",
        "import resource\ntry:\n    resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))\n"
        "    print('ESCAPED')\nexcept (OSError, ValueError):\n    print('refused')",
        is_own=True,
    ),
    _attempt("a session of its own", "os.setsid()", is_own=True),
    _attempt("leave the process group", "os.setpgid(0, 0)", is_own=True),
    _attempt("wait for others", "os.waitpid(-1, os.WNOHANG)", is_own=True),
    _attempt("become root", "os.setuid(0)"),
    _attempt("become anybody", "os.setresuid(1, 1, 1)", is_own=True),
    _attempt("become another group", "os.setgid(0)", is_own=True),
    _attempt("groups", "os.setgroups([0])", is_own=True),
    _attempt("chroot", "os.chroot('/')"),
    _attempt(
        "signals by descriptor owner",
        "fcntl.fcntl(3, fcntl.F_SETOWN, @HOST@)",
        before="import fcntl",
    ),
    _attempt("host name", "__import__('socket').sethostname('x')", is_own=True),
    _attempt("clock", "__import__('time').clock_settime(0, 0.0)", is_own=True),
)
