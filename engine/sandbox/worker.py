"""The process in which the model code of one investigation runs: its loop, questions and limits.

Everything here shares the process with model code and is therefore trusted by nobody: what must
hold is held by the seal and by the host.
"""

import builtins
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, cast

import msgspec
import numpy as np

from engine.sandbox.imports import NothingElse, SourceFinder, file_name_of
from engine.sandbox.interpreter import BLOCK, Timeout, new_namespace, outcome, run_block
from engine.sandbox.mapped import value_of
from engine.sandbox.printed import Printed
from engine.sandbox.protocol import (
    Answered,
    Ask,
    Begin,
    Done,
    Give,
    Module,
    Ready,
    Refused,
    Run,
    ToWorker,
    WithArrays,
)
from engine.sandbox.randomness import seed_generators
from engine.sandbox.reserve import Reserve
from engine.sandbox.wire import Wire

_INTERRUPT = frozenset({signal.SIGINT})
_DECODER = msgspec.msgpack.Decoder(ToWorker)
"""Made in the zygote: looking through the types again would cost every worker a millisecond."""


class Asker:
    """The builtin `_ask`: one question to the host, one answer."""

    def __init__(self, wire: Wire, reserve: Reserve) -> None:
        """Ask over `wire`, which may have given `reserve` back afterwards."""
        self._wire = wire
        self._reserve = reserve
        self.block_id = 0

    def __repr__(self) -> str:
        """Tell nothing of this program, and the same in every process."""
        return "<built-in function _ask>"

    def __call__(self, method: str, arguments: dict[str, object]) -> object:
        """Return the host's answer, or raise what it refused with."""
        question = Ask(self.block_id, method, _packed(arguments))
        try:
            # An interrupt in the middle of a frame would cut the stream in two.
            signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)
            self._wire.send(question)
            reply = self._wire.receive(_DECODER)
            if isinstance(reply, WithArrays):
                return value_of(reply, self._wire.take_fds())
        finally:
            self._reserve.take()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
        if isinstance(reply, Answered):
            return reply.value
        assert isinstance(reply, Refused), reply
        raise _exception(reply.kind)(reply.message) from None


def _exception(kind: str) -> type[Exception]:
    found = getattr(builtins, kind, None)
    if isinstance(found, type) and issubclass(found, Exception):
        return found
    return RuntimeError


def _packed(arguments: dict[str, object]) -> msgspec.Raw:
    """Pack numpy values, tuples and sets as plain ones; refuse what has no plain form."""
    packed = msgspec.msgpack.encode(arguments, enc_hook=_plain)
    msgspec.msgpack.decode(packed)  # what the host could not read raises here, and costs nothing
    return msgspec.Raw(packed)


def _plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return cast("np.generic", value).tolist()
    raise TypeError(f"{type(value).__name__} cannot be passed to introspection")


def _on_interrupt(_signum: int, _frame: object) -> NoReturn:
    raise Timeout("the block ran too long and was stopped; variables are kept")


class Worker:
    """Serves blocks, one after another, until the channel closes."""

    def __init__(self, wire: Wire, printed: Printed, reserve: Reserve) -> None:
        """Speak over `wire`, print into `printed`, hold `reserve` while model code runs."""
        self._wire = wire
        self._printed = printed
        self._reserve = reserve
        self._asker = Asker(wire, reserve)
        self._namespace = new_namespace()
        self._hidden = {outcome.__code__.co_filename.removesuffix("interpreter.py")}
        self._finder = SourceFinder(
            {}, file_name=file_name_of, extra_builtins={"_ask": self._asker}
        )

    def begin(self) -> None:
        """Take the modules, and say that all is ready."""
        begin = self._wire.receive(_DECODER)
        assert isinstance(begin, Begin), begin
        seed_generators(begin.seed)
        tops = sorted({name.partition(".")[0] for name in begin.modules})
        sys.meta_path.insert(0, self._finder)
        sys.meta_path.append(NothingElse(tops))
        self._take(begin.modules)

    def serve(self) -> None:
        """Execute blocks for ever."""
        while True:
            order = self._wire.receive(_DECODER)
            if isinstance(order, Give):
                self._take(order.modules)
                continue
            assert isinstance(order, Run), order
            self._run(order)

    def _run(self, order: Run) -> None:
        self._asker.block_id = order.id
        self._printed.reset(order.number)
        sys.stdout = sys.stderr = self._printed
        name = f"{BLOCK}{order.number}>"
        failure = outcome(self._guarded(order.code, name), self._hidden)
        self._wire.send(self._reserve.spared(lambda: Done(order.id, failure)))

    def _take(self, modules: Mapping[str, Module]) -> None:
        """Serve and load `modules`, and say how that went."""
        self._finder.add(
            {name: module.source for name, module in modules.items()},
            {name: module.code for name, module in modules.items()},
        )
        self._hidden |= set(map(file_name_of, modules))
        failure = outcome(lambda: _load_all(modules), ())
        self._wire.send(Ready() if failure is None else Done(0, failure))

    def _guarded(self, code: str, name: str) -> Callable[[], None]:
        """Let interrupts through while model code runs, and only then."""

        def run() -> None:
            self._reserve.take()
            signal.signal(signal.SIGINT, _on_interrupt)
            while signal.SIGINT in signal.sigpending():
                signal.sigwait(_INTERRUPT)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPT)
            try:
                run_block(code, name, self._namespace)
            except BaseException:
                self._reserve.release()
                raise
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)

        return run


def _load_all(names: Iterable[str]) -> None:
    for name in names:
        there = sys.modules.get(name)
        if there is None:
            importlib.import_module(name)
        else:
            importlib.reload(there)


def mask_interrupts() -> None:
    """Let no interrupt through from now on, but while model code runs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPT)


def main(wire: Wire, printed: Printed, reserve: Reserve) -> NoReturn:
    """Run the worker to the end of `wire`; never returns into the zygote's code."""
    status = 1
    try:
        worker = Worker(wire, printed, reserve)
        worker.begin()
        worker.serve()
    except EOFError:
        status = 0
    finally:
        os._exit(status)
