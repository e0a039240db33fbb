"""The sandbox of processes: what `engine.sandbox.Sandbox` promises, kept by zygote and workers."""

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager

from engine.errors import NotReadyError
from engine.sandbox import Answer, Limits, Tier
from engine.sandbox.forkserver import ForkServer, fork_server
from engine.sandbox.walls import STRENGTH, tier_of
from engine.sandbox.workspace import ProcessWorkspace


class ProcessSandbox:
    """Opens workspaces, each with a worker process of its own."""

    def __init__(self, server: ForkServer, limits: Limits, walls: tuple[str, ...]) -> None:
        """Fork from `server`, whose workers have `walls`."""
        self._server = server
        self._limits = limits
        self.walls = walls

    @property
    def tier(self) -> Tier:
        """Walls that the workspaces really have."""
        return tier_of(self.walls)

    @asynccontextmanager
    async def open(
        self, *, modules: Mapping[str, str], answer: Answer
    ) -> AsyncGenerator[ProcessWorkspace]:
        """Open a workspace; see `engine.sandbox.Sandbox`."""
        workspace = ProcessWorkspace(
            fork=lambda: self._server.fork(
                output_chars=self._limits.output_chars, memory_bytes=self._limits.memory_bytes
            ),
            modules=modules,
            answer=answer,
            limits=self._limits,
        )
        try:
            await workspace.start()
            yield workspace
        finally:
            await workspace.close()


@asynccontextmanager
async def open_sandbox(
    limits: Limits, *, minimum: Tier = Tier.CONTAINED_ONLY, without: Collection[str] = ()
) -> AsyncGenerator[ProcessSandbox]:
    """Start the sandbox of a run; leaving the context ends every process of it.

    Raises:
        NotReadyError: the walls to be had on this machine are below `minimum`.
        SandboxError: the zygote could not be started.
    """
    async with fork_server(without) as server:
        hello = server.hello.result()
        sandbox = ProcessSandbox(server, limits, hello.walls)
        if STRENGTH.index(sandbox.tier) < STRENGTH.index(minimum):
            raise NotReadyError(f"the sandbox is only {sandbox.tier}, {minimum} is asked for")
        yield sandbox
