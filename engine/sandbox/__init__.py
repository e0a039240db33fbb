"""Where model-written Python runs: the seam, not the walls.

A `Sandbox` opens one `Workspace` per investigation: an own process with an own namespace that
persists over the turns. Model code reaches the host only by calling functions of the modules it
was given; every such call is one request, answered by the `Answer` of that workspace.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol

import msgspec

from engine.transcript import Execution

Answer = Callable[[str, Mapping[str, object]], Awaitable[object]]
"""(dotted method, arguments) -> answer; raises `CapabilityError` for the model to see.

An answer is JSON-like, or a numpy array of plain numbers, or a dictionary with such arrays among
its values. Model code gets arrays for reading only; the record keeps their description and digest.
"""


class Tier(StrEnum):
    """How strong the walls are. Honest names, written into every manifest."""

    SEALED_NS = "sealed+ns"
    SEALED = "sealed"
    CONTAINED_ONLY = "contained-only"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one workspace may use; the same for every arm of a study."""

    wall_s: float = 30.0
    """Longest time that one code block may run."""
    memory_bytes: int = 1 << 30
    """Address space of the worker process."""
    output_chars: int = 100_000
    """Output kept of one code block; what is beyond is dropped and said so."""


class Workspace(Protocol):
    """The process and namespace of one investigation."""

    def give(self, modules: Mapping[str, str]) -> None:
        """Let `modules` be imported too, from the next block on; the namespace stays.

        Dotted name -> Python source. A module that is there already is run anew in its place.
        """
        ...

    async def execute(self, code: str) -> Execution:
        """Run one block to its end and return what came of it.

        Whatever the code does (raise, loop, print without end, kill its own process) is in the
        returned value. After a lost process the next block starts in a new, empty namespace.

        Raises:
            SandboxError: the host side failed.
        """
        ...


class Sandbox(Protocol):
    """Opens workspaces. One per run, shared by all investigations."""

    @property
    def tier(self) -> Tier:
        """Walls that the workspaces really have."""
        ...

    def open(
        self, *, modules: Mapping[str, str], answer: Answer, seed: int | None = None
    ) -> AbstractAsyncContextManager[Workspace]:
        """Open a workspace in which `modules` (dotted name -> Python source) can be imported.

        `seed` sets the random numbers of its processes; without it they differ each time.

        The source may call the builtin `_ask(method, arguments)`, which returns what `answer`
        returns for it. Leaving the context ends the process.
        """
        ...
