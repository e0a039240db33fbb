"""Models that take turns on one machine: whose server answers now, and how the others wait."""

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from engine.endpoint import Endpoint
from engine.errors import NotReadyError
from engine.transcript import Investigation

Opener = Callable[[str, Path], AbstractAsyncContextManager[Endpoint]]
"""Model, log directory -> its server, always at the same address."""


class Rest(Protocol):
    """How a server waits for its turn without ending."""

    async def sleep(self, endpoint: Endpoint) -> None:
        """Let it give its memory back; raises NotReadyError if it does not."""
        ...

    async def wake(self, endpoint: Endpoint) -> None:
        """Let it answer again; raises NotReadyError if it does not."""
        ...


class Turns:
    """The servers of a run, of which one answers at a time."""

    def __init__(self, models: Sequence[str], opener: Opener, rest: Rest | None = None) -> None:
        """Open servers by `opener`; those that wait do so by `rest`, or end and are begun again."""
        self._models = tuple(models)
        self._opener = opener
        self._rest = rest
        self._log_dir = Path()
        self._opened: dict[str, AsyncExitStack] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self.awake: str | None = None
        """Whose turn it is."""

    @asynccontextmanager
    async def open(self, log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        """Let each have a turn, so that what is wrong with any shows now; end all on leaving.

        Yields where they answer, in their order, when it is the first one's turn.

        Raises:
            NotReadyError: a server did not become ready.
        """
        self._log_dir = log_dir
        try:
            for model in reversed(self._models):
                await self.take(model)
            yield tuple(self._endpoints[model] for model in self._models)
        finally:
            await self._end(*self._opened)

    async def take(self, model: str) -> None:
        """Let the server of `model` answer, and no other.

        Raises:
            NotReadyError: it did not become ready.
        """
        if model == self.awake:
            return
        before, self.awake = self.awake, None
        if before is not None:
            await self._put_aside(before)
        await self._bring(model)
        self.awake = model

    async def _put_aside(self, model: str) -> None:
        if self._rest is None:
            await self._end(model)
            return
        try:
            await self._rest.sleep(self._endpoints[model])
        except NotReadyError:  # it is gone, or its memory stays: make room in any case
            await self._end(model)

    async def _bring(self, model: str) -> None:
        if model in self._opened and self._rest is not None:
            try:
                await self._rest.wake(self._endpoints[model])
            except NotReadyError:  # it died in its sleep
                await self._end(model)
            else:
                return
        stack = AsyncExitStack()
        opening = self._opener(model, self._log_dir)
        self._endpoints[model] = await stack.enter_async_context(opening)
        self._opened[model] = stack

    async def _end(self, *models: str) -> None:
        async with AsyncExitStack() as ending:
            for model in models:
                ending.push_async_callback(self._opened.pop(model).aclose)


def rounds(
    cases: Iterable[Investigation], models: Sequence[str], n_each: int | None
) -> Iterator[tuple[str, list[Investigation]]]:
    """Yield whose turn it is, and which investigations it carries out. Pure.

    In every round each arm carries out `n_each` (None: all), so that a run that is stopped has as
    many of each. Every second round goes the other way: fewer changes, and no arm is always first.
    """
    left: dict[str, deque[Investigation]] = {model: deque() for model in models}
    for case in cases:
        left[case.model].append(case)
    order = list(models)
    while any(left.values()):
        for model in order:
            waiting = left[model]
            n_now = min(len(waiting), n_each or len(waiting))
            part = [waiting.popleft() for _ in range(n_now)]
            if part:
                yield model, part
        order.reverse()
