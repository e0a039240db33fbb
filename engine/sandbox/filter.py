"""The system calls that a sealed worker may make: a short list, everything else refused.

What computing, printing into shared memory and talking over fd 3 need, and nothing that names a
file, a socket, a process or executable memory. Built once by libseccomp in the zygote; workers load
the finished program.
"""

import errno
import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyseccomp

_ALLOWED = """
read write readv writev recvfrom recvmsg sendto close lseek poll ppoll select pselect6 fstat
mremap munmap brk madvise mincore
futex get_robust_list set_robust_list rseq sched_yield sched_getaffinity getcpu membarrier
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait sigaltstack restart_syscall
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getrusage
getrandom getpid gettid getppid getuid geteuid getgid getegid
exit exit_group
"""
_NAMING_A_PATH = """
open openat openat2 creat stat lstat newfstatat statx access faccessat faccessat2 readlink
readlinkat getdents getdents64 getcwd chdir fchdir unlink unlinkat rename renameat renameat2 mkdir
mkdirat rmdir link linkat symlink symlinkat mknod mknodat chmod fchmodat fchmodat2 chown lchown
fchownat truncate utime utimes utimensat futimesat statfs execve execveat open_by_handle_at
name_to_handle_at setxattr lsetxattr getxattr lgetxattr listxattr llistxattr
"""
_PROT_EXEC = 4
_F_GETFD = 1
_F_GETFL = 3
_F_DUPFD_CLOEXEC = 1030


def program() -> bytes:
    """Return the compiled filter.

    Raises:
        OSError, ImportError, RuntimeError: libseccomp is missing or refuses.
    """
    import pyseccomp

    rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    # A call in another convention (x32, int 0x80) can only be an attempt to get around the list.
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    for name in _ALLOWED.split():
        _add(rules, pyseccomp.ALLOW, name)
    for name in _NAMING_A_PATH.split():
        _add(rules, pyseccomp.ERRNO(errno.EACCES), name)
    # glibc falls back to clone where clone3 seems not to exist, and reports a plain failure.
    _add(rules, pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    _add(rules, pyseccomp.ERRNO(errno.ENOTTY), "ioctl")
    no_exec = pyseccomp.Arg(2, pyseccomp.MASKED_EQ, _PROT_EXEC, 0)
    rules.add_rule(pyseccomp.ALLOW, "mprotect", no_exec)
    # Never both: memory that is shared and of no file stays when it is no longer resident, unseen
    # by the watchdog.
    for flag in (mmap.MAP_SHARED, mmap.MAP_ANONYMOUS):
        without = pyseccomp.Arg(3, pyseccomp.MASKED_EQ, flag, 0)
        rules.add_rule(pyseccomp.ALLOW, "mmap", no_exec, without)
    for command in (_F_GETFD, _F_GETFL, _F_DUPFD_CLOEXEC):
        rules.add_rule(pyseccomp.ALLOW, "fcntl", pyseccomp.Arg(1, pyseccomp.EQ, command))
    return _exported(rules)


def _add(rules: "pyseccomp.SyscallFilter", action: int, name: str) -> None:
    import pyseccomp

    if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
        rules.add_rule(action, name)


def _exported(rules: "pyseccomp.SyscallFilter") -> bytes:
    with os.fdopen(os.memfd_create("filter"), "w+b") as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
