"""The 55 functions by name, and their signatures."""

import inspect

from engine.introspection.functions import SOURCES, functions_in

METHODS = [(module, name) for module in SOURCES for name in functions_in(module)]


def signature(module: str, name: str) -> inspect.Signature:
    """What the sandbox shows: without `self`."""
    without_self = list(inspect.signature(getattr(SOURCES[module], name)).parameters.values())[1:]
    return inspect.Signature(without_self)
