"""Counts of claims, per investigation and per arm, as figures that can be compared. Pure."""

from collections.abc import Iterable

import msgspec

from engine.compare.claims.values import Claim, Ledger


class ClaimCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many claims there are, and what became of them."""

    claims: int = 0
    grounded: int = 0
    contradicted: int = 0
    unmeasured: int = 0
    pretended: int = 0
    about_the_model: int = 0
    """Claims about the structure of the model that its checkpoint can judge."""
    true_of_the_model: int = 0
    """Of them, those that are so."""

    def __add__(self, other: "ClaimCounts") -> "ClaimCounts":
        """Return the counts of both."""
        return ClaimCounts(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__}
        )

    @property
    def grounded_share(self) -> float | None:
        """Share of all claims that something recorded supports; None without claims."""
        return self.grounded / self.claims if self.claims else None

    @property
    def introspection_accuracy(self) -> float | None:
        """Share of the claims about the model that are so; None where none can be judged."""
        if not self.about_the_model:
            return None
        return self.true_of_the_model / self.about_the_model

    def figures(self) -> dict[str, float | None]:
        """Return what can be compared between arms, by name."""
        return {
            "claims": float(self.claims),
            "claims_grounded_share": self.grounded_share,
            "claims_contradicted": float(self.contradicted),
            "claims_unmeasured": float(self.unmeasured),
            "claims_pretended": float(self.pretended),
            "introspection_accuracy": self.introspection_accuracy,
        }


def counts_of(ledger: Ledger) -> ClaimCounts:
    """Return the counts of one ledger."""
    claims = ledger.claims
    return ClaimCounts(
        claims=len(claims),
        grounded=_n(claims, "grounded"),
        contradicted=_n(claims, "contradicted"),
        unmeasured=_n(claims, "unmeasured"),
        pretended=_n(claims, "pretended"),
        about_the_model=sum(claim.is_true is not None for claim in claims),
        true_of_the_model=sum(claim.is_true is True for claim in claims),
    )


def total(counts: Iterable[ClaimCounts]) -> ClaimCounts:
    """Return the counts of several investigations together."""
    return sum(counts, ClaimCounts())


def _n(claims: Iterable[Claim], status: str) -> int:
    return sum(claim.status == status for claim in claims)
