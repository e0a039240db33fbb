"""What is so about a checkpoint, to tell whether claims about the model are true. Pure."""

from collections.abc import Mapping

import msgspec

from engine.compare.claims.naming import NameClaim, plain
from engine.compare.claims.numbers import NumberClaim


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one checkpoint."""

    figures: Mapping[str, int | float | str | bool | None]
    """Quantity -> value, named as `architecture.get_architecture_summary` names them."""
    names: frozenset[str]
    """Names of all layers and parameters, `*` in place of the index of a layer."""

    def of_number(self, claim: NumberClaim) -> bool | None:
        """Tell whether a number about the model is right; None: this cannot be told."""
        value = self.figures.get(claim.quantity or "")
        if not claim.is_about_the_model or not isinstance(value, int | float):
            return None
        return claim.holds_for(float(value))

    def of_name(self, claim: NameClaim) -> bool | None:
        """Tell whether a name of a layer, a parameter or a kind is right; None: unknown."""
        if claim.quantity == "name":
            return self._has(claim.word) if self.names else None
        value = self.figures.get(claim.quantity)
        if value is None:
            return None
        shown = plain(str(value).lower())
        return shown == claim.word or shown.startswith(claim.word)

    def _has(self, name: str) -> bool:
        parts = name.split(".")
        if ".".join("*" if part.isdecimal() else part for part in parts) not in self.names:
            return False
        n_layers = self.figures.get("n_layers")
        indices = [int(part) for part in parts if part.isdecimal()]
        return not indices or not isinstance(n_layers, int) or indices[0] < n_layers
