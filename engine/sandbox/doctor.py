"""What the sandbox is worth on this machine: the walls that stand, and attacks on a real worker."""

import msgspec

from engine.sandbox import Limits, Tier
from engine.sandbox.host import ProcessSandbox, open_sandbox
from engine.sandbox.walls import remedies, tier_of

_LIMITS = Limits(wall_s=10.0, output_chars=2_000)
_ATTACKS = {
    "open a file": "open('/etc/passwd').read()",
    "look at a path": "import os; os.stat('/')",
    "list a directory": "import os; os.listdir('/')",
    "write a file": "open('/tmp/written-by-the-sandbox', 'w')",
    "open a socket": "import socket; socket.socket()",
    "fork": "import os; os.fork() or os._exit(0)",
    "start a program": "import subprocess; subprocess.run(['true'])",
    "signal the parent": "import os; os.kill(os.getppid(), 0)",
    "map executable memory": "import mmap; mmap.mmap(-1, 4096, mmap.MAP_PRIVATE, 7)",
    "share memory": "import mmap; mmap.mmap(-1, 4096)",
    "make a memory file": "import os; os.memfd_create('x')",
    "read the environment": "import os; assert not os.environ, 'empty'; raise PermissionError",
    "hold a descriptor": """
import fcntl
def is_open(fd):
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
    except OSError:
        return False
if [fd for fd in range(64) if is_open(fd)] == [0, 1, 2, 3]:
    raise PermissionError
""",
}
"""Each must end in a `PermissionError`."""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What `probe` found out."""

    tier: Tier
    walls: tuple[str, ...]
    missing: dict[str, str]
    """Walls that do not stand, each with the reason."""
    refused: tuple[str, ...]
    """Attacks that came to nothing."""
    succeeded: tuple[str, ...]
    """Attacks that model code could carry out here."""

    @property
    def advice(self) -> str:
        """What would bring the missing walls, a sentence each; empty when none is missing."""
        return remedies(self.missing)


async def probe(without: tuple[str, ...] = ()) -> Diagnosis:
    """Start the sandbox, whatever its tier, and try a short list of attacks in a real worker.

    Raises:
        SandboxError: it cannot be started at all.
    """
    async with open_sandbox(_LIMITS, minimum=Tier.CONTAINED_ONLY, without=without) as sandbox:
        refused = await _refused(sandbox)
        return Diagnosis(
            tier=tier_of(sandbox.walls),
            walls=sandbox.walls,
            missing=sandbox.missing,
            refused=refused,
            succeeded=tuple(name for name in _ATTACKS if name not in refused),
        )


async def _refused(sandbox: ProcessSandbox) -> tuple[str, ...]:
    async with sandbox.open(modules={}, answer=_no_answer) as workspace:
        ends = {name: (await workspace.execute(code)).error for name, code in _ATTACKS.items()}
    return tuple(
        name
        for name, error in ends.items()
        if error is not None and error.kind == "PermissionError"
    )


async def _no_answer(method: str, _arguments: object) -> object:
    raise AssertionError(f"{method} is not part of the diagnosis")
