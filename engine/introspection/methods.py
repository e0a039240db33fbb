"""What model code can call: functions with the signatures that their callers see."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.introspection.arguments import bind
from engine.introspection.stubs import functions_of


@dataclass(frozen=True, kw_only=True)
class Method:
    """One function of one capability."""

    name: str
    """Dotted: "memory.query_beliefs"."""
    function: Callable[..., object]
    signature: inspect.Signature

    def bound(self, arguments: Mapping[str, object]) -> Callable[[], object]:
        """Return the call with `arguments`, checked and completed.

        Raises:
            CapabilityError: they do not fit the signature.
        """
        given = bind(self.name, self.signature, arguments)
        return lambda: self.function(**given)


def methods_of(name: str, source: object) -> dict[str, Method]:
    """Return the methods of the capability `name`, whose functions are those of `source`."""
    found = {f"{name}.{each}": function for each, function in functions_of(source).items()}
    return {
        dotted: Method(name=dotted, function=function, signature=inspect.signature(function))
        for dotted, function in found.items()
    }
