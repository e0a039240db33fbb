"""The 55 functions, by the classes that answer them."""

import inspect

from engine.introspection.activations import Activations
from engine.introspection.architecture import Architecture
from engine.introspection.attention import Attention
from engine.introspection.generation import Generation
from engine.introspection.gradient import Gradient
from engine.introspection.heritage import Heritage
from engine.introspection.history import History
from engine.introspection.memory import Memory
from engine.introspection.temporal import Temporal
from engine.introspection.weights import Weights

CLASSES = {
    "architecture": Architecture,
    "weights": Weights,
    "activations": Activations,
    "temporal": Temporal,
    "attention": Attention,
    "gradient": Gradient,
    "history": History,
    "memory": Memory,
    "generation": Generation,
    "heritage": Heritage,
}
METHODS = [
    (module, name)
    for module, kind in CLASSES.items()
    for name, member in vars(kind).items()
    if inspect.isfunction(member) and not name.startswith("_")
]


def signature(module: str, name: str) -> inspect.Signature:
    """What the sandbox shows: without `self`."""
    without_self = list(inspect.signature(getattr(CLASSES[module], name)).parameters.values())[1:]
    return inspect.Signature(without_self)
