"""What one investigation may ask: the modules it can import, and who answers their calls."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.errors import CapabilityError, InvestigationError, UsageError, boundary
from engine.introspection.answers import check_size
from engine.introspection.arguments import bind, canonical
from engine.introspection.documents import Documents
from engine.introspection.generation import Generation, Report
from engine.introspection.heritage import Heritage
from engine.introspection.memory import Memory
from engine.introspection.stubs import (
    PACKAGE,
    first_line,
    functions_of,
    package_source,
)
from engine.introspection.subject import Subject
from engine.transcript import Call

_WRITES = frozenset(
    {
        "memory.record_observation",
        "heritage.save_reflection",
        "heritage.record_discovery",
        "heritage.create_message_to_claude",
    }
)
"""Methods that change state; a resume applies their recorded calls again."""


@dataclass(frozen=True, kw_only=True)
class _Method:
    function: Callable[..., object]
    signature: inspect.Signature
    is_pure: bool


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
        self._methods: dict[str, _Method] = {}
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
            self._methods |= _methods(name, source, is_pure=name in self._subject.sources)
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
        question = canonical(method, arguments)
        if not found.is_pure:
            return _answered(method, found, arguments)
        bound = bind(method, found.signature, arguments)
        key = self._subject.fingerprint.encode() + question
        return await self._subject.answers.answer(key, method, lambda: found.function(**bound))

    def _source(self, name: str) -> object:
        if name in self._subject.sources:
            return self._subject.sources[name]
        if name == "memory":
            return Memory()
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
                _answered(call.method, self._methods[call.method], call.arguments)


def _answered(method: str, found: _Method, arguments: Mapping[str, object]) -> object:
    bound = bind(method, found.signature, arguments)
    with boundary(InvestigationError, f"{PACKAGE}.{method}"):
        answer = found.function(**bound)
    check_size(answer)
    return answer


def _methods(name: str, source: object, *, is_pure: bool) -> dict[str, _Method]:
    return {
        f"{name}.{each}": _Method(
            function=function, signature=inspect.signature(function), is_pure=is_pure
        )
        for each, function in functions_of(source).items()
    }
