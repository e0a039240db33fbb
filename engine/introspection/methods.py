"""What model code can call: functions with the signatures that their callers see."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MethodType

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
    return {
        f"{name}.{each}": Method(
            name=f"{name}.{each}", function=function, signature=_signature(type(source), each)
        )
        for each, function in functions_of(source).items()
    }


@cache
def _signature(kind: type, name: str) -> inspect.Signature:
    """Return that of a method as its callers see it: worked out once, not for every table."""
    return inspect.signature(MethodType(getattr(kind, name), kind))
