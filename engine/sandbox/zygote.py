"""The program that forks workers: started fresh, told nothing, holding nothing but imports.

The boot line of `engine.sandbox.forkserver` imports it. One thread, so that every fork is clean. It
ends with the control channel, and its workers end with it.
"""

import gc
import os
import posix
import resource
from collections.abc import Callable, Collection

from engine.sandbox.ground import prepare
from engine.sandbox.nursery import Control, Nursery
from engine.sandbox.preload import preload, scrub
from engine.sandbox.protocol import Hello
from engine.sandbox.seal import MAX_ZYGOTE_FDS

_HIGHEST_FD = 1 << 20
"""Linux gives no higher one, unless fs.nr_open is raised. uvloop leaves all to its children that
the engine itself was given, and workers close only the low ones."""


def ready(control_fd: int, *, without: Collection[str]) -> Callable[[], None]:
    """Import, put up the walls, say hello; return what forks on request until the host is gone."""
    control = Control(control_fd)
    os.closerange(control.fileno() + 1, _HIGHEST_FD)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_ZYGOTE_FDS, MAX_ZYGOTE_FDS))
    preload()
    os.register_at_fork = posix.register_at_fork  # the boot line has taken it away
    ground = prepare(without)
    scrub()
    plan = ground.plan()
    gc.collect()
    gc.freeze()
    control.send(Hello(tuple(sorted(plan.walls)), ground.missing), [])
    return Nursery(control, plan).serve
