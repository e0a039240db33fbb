"""The functions of every capability by name, without anything that could answer them."""

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

SOURCES: dict[str, type] = {
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


def functions_in(capability: str) -> tuple[str, ...]:
    """Return the functions that model code can call there."""
    members = vars(SOURCES[capability]).items()
    return tuple(
        name for name, member in members if inspect.isfunction(member) and not name.startswith("_")
    )
