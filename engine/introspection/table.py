"""What one investigation may ask: the modules it can import, and who answers their calls."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from engine.errors import CapabilityError, InvestigationError, UsageError, boundary
from engine.introspection.answers import check_size
from engine.introspection.arguments import canonical
from engine.introspection.documents import Documents
from engine.introspection.generation import Generation, Report
from engine.introspection.heritage import Heritage
from engine.introspection.history import History
from engine.introspection.memory import Memory
from engine.introspection.methods import Method, methods_of
from engine.introspection.stubs import PACKAGE, first_line, package_source
from engine.introspection.subject import Subject
from engine.transcript import Call

_WRITES = frozenset(
    {
        "memory.record_observation",
        "heritage.save_reflection",
        "heritage.record_discovery",
        "heritage.create_message_to_claude",
        "history.start_tracking",
        "history.record_turn",
        "history.clear_history",
        "history.stop_tracking",
    }
)
"""Methods that change state; a resume applies their recorded calls again."""


class CapabilityTable:
    """The capabilities granted to one investigation.

    A capability that is not granted and one that never existed are the same to it: neither is
    known here.
    """

    def __init__(
        self,
        granted: Sequence[str],
        *,
        subject: Subject,
        generation: Report | None = None,
        documents: Documents | None = None,
    ) -> None:
        """Grant what is named in `granted`.

        `generation` reports what the engine does, `documents` are what `heritage` can read; both
        only matter once the capability is granted.

        Raises:
            UsageError: a name is unknown, or what it needs is not there.
        """
        self._subject = subject
        self._generation = generation
        self._documents = documents
        self._lines: list[tuple[str, str]] = []
        self._modules: dict[str, str] = {}
        self._methods: dict[str, Method] = {}
        self._repeated: dict[str, Method] = {}
        self.grant(*granted)

    def grant(self, *names: str) -> Mapping[str, str]:
        """Grant more from now on; return the modules that are new or have changed.

        What is granted already stays as it is.

        Raises:
            UsageError: a name is unknown, or what it needs is not there.
        """
        new = [name for name in dict.fromkeys(names) if f"{PACKAGE}.{name}" not in self._modules]
        sources = {name: self._source(name) for name in new}
        changed = {f"{PACKAGE}.{name}": self._subject.stub(name, sources[name]) for name in new}
        self._lines += [(name, first_line(source)) for name, source in sources.items()]
        for name, source in sources.items():
            self._add(name, source)
        changed[PACKAGE] = package_source(self._lines)
        self._modules |= changed
        return changed

    @property
    def modules(self) -> Mapping[str, str]:
        """Dotted module name -> Python source, the package itself included."""
        return self._modules

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """(module, one line about it), for the system prompt."""
        return tuple(self._lines)

    async def answer(self, method: str, arguments: Mapping[str, object]) -> object:
        """Return the JSON-like answer to one call of model code.

        Raises:
            CapabilityError: the call cannot be answered; for the model to see.
            InvestigationError: the host failed.
        """
        found = self._methods.get(method)
        if found is None:
            raise CapabilityError("AttributeError", f"{PACKAGE} has no function {method!r}")
        if method in self._subject.methods:
            return await self._subject.ask(method, arguments)
        canonical(method, arguments)
        return await _answered(found, arguments)

    def _add(self, name: str, source: object) -> None:
        methods = methods_of(name, source)
        self._methods |= methods
        if isinstance(source, History):
            self._repeated |= {
                dotted: replace(methods[dotted], function=function)
                for dotted, function in source.repeated.items()
            }

    def _source(self, name: str) -> object:
        if name in self._subject.sources:
            return self._subject.sources[name]
        if name == "memory":
            return Memory()
        if name == "history" and self._subject.insides is not None:
            return History(self._subject.insides, self._subject.ask)
        if name == "generation" and self._generation is not None:
            return Generation(self._generation)
        if name == "heritage" and self._documents is not None:
            return Heritage(self._documents)
        raise UsageError(
            f"The capability {name!r} cannot be granted here: it is unknown, or what it needs is"
            " not there (a checkpoint that can be read, see --checkpoint; documents)."
        )

    def restore(self, calls: Iterable[Call]) -> None:
        """Apply the recorded calls that changed state, in their order; a resume does this once."""
        for call in calls:
            if call.error is None and call.method in _WRITES and call.method in self._methods:
                found = self._repeated.get(call.method, self._methods[call.method])
                _called(found, call.arguments)


async def _answered(found: Method, arguments: Mapping[str, object]) -> object:
    with boundary(InvestigationError, f"{PACKAGE}.{found.name}"):
        answer = _called(found, arguments)
        if inspect.isawaitable(answer):
            answer = await answer
        check_size(answer)
        return answer


def _called(found: Method, arguments: Mapping[str, object]) -> object:
    call = found.bound(arguments)
    with boundary(InvestigationError, f"{PACKAGE}.{found.name}"):
        return call()
