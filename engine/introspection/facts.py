"""What is so about a model, for those who later judge what it said about itself. Pure."""

import msgspec

from engine.introspection.checkpoint import Checkpoint
from engine.introspection.describe import summary
from engine.introspection.layers import layers_of
from engine.introspection.names import pattern_of


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Figures and names of one checkpoint."""

    figures: dict[str, object]
    """As `architecture.get_architecture_summary` answers them."""
    names: tuple[str, ...]
    """Of layers and parameters, `*` in place of an index, in the order of the model."""


def facts_of(checkpoint: Checkpoint) -> Facts:
    """Return what `checkpoint` says of the model."""
    named = [*layers_of(checkpoint.parameters), *checkpoint.parameters]
    return Facts(figures=summary(checkpoint), names=tuple(dict.fromkeys(map(pattern_of, named))))
