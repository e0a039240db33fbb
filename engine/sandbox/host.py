"""The sandbox of processes: what `engine.sandbox.Sandbox` promises, kept by zygote and workers."""

import resource
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager

from engine import machine
from engine.errors import NotReadyError
from engine.sandbox import Answer, Limits, Tier
from engine.sandbox.cores import Cores
from engine.sandbox.forkserver import ForkServer, fork_server
from engine.sandbox.imports import ready_made
from engine.sandbox.process import Process
from engine.sandbox.protocol import Begin
from engine.sandbox.questions import Questions
from engine.sandbox.shelf import Shelf
from engine.sandbox.walls import STRENGTH, remedies, tier_of
from engine.sandbox.watchdog import Watchdog, default_bytes
from engine.sandbox.workspace import ProcessWorkspace

_WANTED_FDS = 65_536


class ProcessSandbox:
    """Opens workspaces, each with a worker process of its own."""

    def __init__(
        self, server: ForkServer, *, limits: Limits, cores: Cores, answer_s: float
    ) -> None:
        """Fork from `server`, compute on `cores`, wait `answer_s` for the answer to a question."""
        self._server = server
        self._limits = limits
        self._cores = cores
        self._answer_s = answer_s
        self.shelf = Shelf()
        """Arrays that workers hold, or may ask for next."""

    @property
    def walls(self) -> tuple[str, ...]:
        """Names of the walls around every worker."""
        return self._server.hello.result().walls

    @property
    def missing(self) -> dict[str, str]:
        """Walls that this machine does not give, each with the reason."""
        return self._server.hello.result().missing

    @property
    def tier(self) -> Tier:
        """Walls that the workspaces really have."""
        return tier_of(self.walls)

    @asynccontextmanager
    async def open(
        self, *, modules: Mapping[str, str], answer: Answer, seed: int | None = None
    ) -> AsyncGenerator[ProcessWorkspace]:
        """Open a workspace; see `engine.sandbox.Sandbox`.

        Its worker is forked for the first block, so that a thousand first requests to the models
        need not wait for a thousand forks.
        `seed` sets `random` and `numpy.random`, in every process of the workspace; without it each
        process draws its own.
        """
        workspace = ProcessWorkspace(
            fork=self._fork,
            cores=self._cores,
            begin=Begin(ready_made(modules), seed),
            ask=lambda holder: Questions(answer, self._answer_s, self.shelf, holder=holder),
            limits=self._limits,
        )
        try:
            yield workspace
        finally:
            await workspace.close()

    def close(self) -> None:
        """Let go of the arrays kept for those who might ask next."""
        self.shelf.clear()

    async def _fork(self) -> Process:
        return await self._server.fork(
            output_chars=self._limits.output_chars, memory_bytes=self._limits.memory_bytes
        )


@asynccontextmanager
async def open_sandbox(
    limits: Limits,
    *,
    minimum: Tier = Tier.SEALED,
    n_cores: int | None = None,
    answer_s: float = 300.0,
    total_memory_bytes: int | None = None,
    without: Collection[str] = (),
) -> AsyncGenerator[ProcessSandbox]:
    """Start the sandbox of a run; leaving the context ends every process of it.

    Args:
        limits: what each workspace may use.
        minimum: the weakest tier that will do.
        n_cores: blocks that compute at once; by default as many as there are cores.
        answer_s: the longest time that the host may take to answer one question.
        total_memory_bytes: what all workers together may fill; by default a share of what is free.
        without: walls that are not put up, to see what the others are worth.

    Raises:
        NotReadyError: the walls to be had on this machine are below `minimum`.
        SandboxError: the zygote could not be started.
    """
    _raise_fd_limit()
    async with fork_server(without) as server:
        sandbox = ProcessSandbox(
            server, limits=limits, cores=Cores(n_cores or machine.n_cores()), answer_s=answer_s
        )
        if STRENGTH.index(sandbox.tier) < STRENGTH.index(minimum):
            raise NotReadyError(
                f"The sandbox of this machine reaches only the tier {str(sandbox.tier)!r}, and "
                f"{str(minimum)!r} is required. {remedies(sandbox.missing)}"
            )
        watchdog = Watchdog(server, sandbox.shelf, total_memory_bytes or default_bytes())
        try:
            yield sandbox
        finally:
            watchdog.close()
            sandbox.close()


def _raise_fd_limit() -> None:
    """Three descriptors per worker: the usual soft limit of 1,024 ends near 300 workers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FDS if hard == resource.RLIM_INFINITY else min(_WANTED_FDS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
