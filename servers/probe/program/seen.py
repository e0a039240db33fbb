"""What one forward pass shows, and what can be asked of whatever makes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.introspection.safetensors import Floats


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one forward pass shows."""

    plain: Mapping[str, object]
    """Ids and texts of the tokens."""
    outputs: Mapping[str, Floats]
    attention: Mapping[int, Floats]


class Runs(Protocol):
    """A model that runs texts."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of the tokens of `text`."""
        ...

    def look(
        self, ids: Sequence[int], layers: Sequence[str], places: Sequence[int], *, max_bytes: int
    ) -> Seen:
        """Run `ids` and keep what `layers` put out, and the attention of decoder layers."""
        ...

    def gradients(
        self, ids: Sequence[int], layers: Sequence[str], *, max_bytes: int
    ) -> tuple[object, Mapping[str, Floats]]:
        """Return the target, and gradients by the embeddings ("") and what `layers` put out."""
        ...

    def generate(
        self, ids: Sequence[int], layers: Sequence[str], count: int
    ) -> tuple[object, Mapping[str, Floats]]:
        """Return what was written, and what `layers` put out at each step."""
        ...
